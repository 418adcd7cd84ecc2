import { Auth0Client } from '@auth0/nextjs-auth0/server';
import { sessionStore } from './sessions.js';

export const auth0 = new Auth0Client({
  // Everything else is read from the environment, AUTH0_DOMAIN and so on; see .env.
  allowInsecureRequests: process.env.AUTH0_DOMAIN?.startsWith('http://localhost'),
  authorizationParameters: { audience: process.env.AUTH0_AUDIENCE, scope: process.env.AUTH0_SCOPE },
  sessionStore: process.env.SESSIONS === 'memory' ? sessionStore() : undefined,
  session: {
    // Cookies of all ports of localhost are in one jar.
    cookie: { name: 'nextjs_auth0_v4' },
    // A rolling session is written at every request, with the tokens that the request came with: two
    // requests at once, and the slower one writes the tokens of yesterday over those just renewed.
    rolling: false,
  },
  transactionCookie: { prefix: 'nextjs_auth0_v4_login_' },
  enableAccessTokenEndpoint: false, // the browser has no need to see an access token
});
