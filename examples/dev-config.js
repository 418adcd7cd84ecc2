// Prints the configuration of an example, from what `gatehouse dev` wrote down when it started:
//   node dev-config.js "NAME OF THE CLIENT" [PATH OF dev.json]
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const [name, file = process.env.GATEHOUSE_DEV ?? fileURLToPath(new URL('../.gatehouse/dev.json', import.meta.url))] = process.argv.slice(2);
if (!existsSync(file)) {
  console.error(`There is no ${file}. Start the house first: go run ./cmd/gatehouse dev`);
  process.exit(1);
}
const house = JSON.parse(readFileSync(file, 'utf8'));
const client = house.clients.find((client) => client.name === name);
if (!client) {
  console.error(`${file} has no client ${name}, but: ${house.clients.map((client) => client.name).join(', ')}`);
  process.exit(1);
}
console.log(JSON.stringify({
  domain: house.issuer.replace(/\/$/, ''), // SDKs want it without the slash at the end
  clientId: client.client_id,
  audience: client.audience,
  apiUrl: house.apis.find((api) => api.audience === client.audience)?.url,
}, null, 2));
