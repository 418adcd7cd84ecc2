// The application with @auth0/auth0-spa-js 1: other names for the same options.
import createAuth0Client from 'auth0-spa-js-1';
import { config, scope } from '../../static/config.js';
import { start } from './start.js';
import { renewal } from './renewal.js';

const client = await createAuth0Client({
  domain: config.domain,
  client_id: config.clientId,
  redirect_uri: window.location.origin,
  audience: config.audience,
  scope,
  ...renewal,
});

await start(client, {
  fresh: { ignoreCache: true },
  leaving: { returnTo: window.location.origin },
});
