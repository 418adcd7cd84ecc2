// The configuration of an example, from what `gatehouse dev` wrote down when it started. For programs on
// a server it is a module:
//   import { devConfig } from '../dev-config.js'
// For pages in a browser it is a command, which prints no secret:
//   node dev-config.js "NAME OF THE CLIENT" [PATH OF dev.json]
// For a server that reads its environment, secrets included, as lines of a .env file:
//   node dev-config.js --env "NAME OF THE CLIENT" [PATH OF dev.json]
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export function devConfig(name, file = process.env.GATEHOUSE_DEV ?? fileURLToPath(new URL('../.gatehouse/dev.json', import.meta.url))) {
  if (!existsSync(file)) {
    throw new Error(`There is no ${file}. Start the house first: go run ./cmd/gatehouse dev`);
  }
  const house = JSON.parse(readFileSync(file, 'utf8'));
  const client = house.clients.find((client) => client.name === name);
  if (!client) {
    throw new Error(`${file} has no client ${name}, but: ${house.clients.map((client) => client.name).join(', ')}`);
  }
  return {
    domain: house.issuer.replace(/\/$/, ''), // SDKs want it without the slash at the end
    clientId: client.client_id,
    clientSecret: client.client_secret,
    audience: client.audience,
    apiUrl: house.apis.find((api) => api.audience === client.audience)?.url,
  };
}

function shown(...where) {
  const { clientSecret, ...rest } = devConfig(...where);
  return JSON.stringify(rest, null, 2);
}

function env(...where) {
  const { domain, clientId, clientSecret, audience, apiUrl } = devConfig(...where);
  // What encrypts the cookies. In production: 32 random bytes, the same on every node.
  const cookieSecret = createHash('sha256').update(`cookies ${clientSecret}`).digest('hex');
  return Object.entries({ domain, client_id: clientId, client_secret: clientSecret, audience, api_url: apiUrl, cookie_secret: cookieSecret })
    .map(([name, value]) => `GATEHOUSE_${name.toUpperCase()}=${value}`).join('\n');
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    console.log(process.argv[2] === '--env' ? env(...process.argv.slice(3)) : shown(...process.argv.slice(2)));
  } catch (error) {
    console.error(error.message);
    process.exit(1);
  }
}
