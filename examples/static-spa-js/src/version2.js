// The application with @auth0/auth0-spa-js 2.
import { createAuth0Client } from '@auth0/auth0-spa-js';
import { config, scope } from '../../static/config.js';
import { start } from './start.js';
import { renewal } from './renewal.js';

const client = await createAuth0Client({
  domain: config.domain,
  clientId: config.clientId,
  authorizationParams: { redirect_uri: window.location.origin, audience: config.audience, scope },
  ...renewal,
});

await start(client, {
  fresh: { cacheMode: 'off' },
  leaving: { logoutParams: { returnTo: window.location.origin } },
});
