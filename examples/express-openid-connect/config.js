import { createHash } from 'node:crypto';
import { devConfig } from '../dev-config.js';

const house = devConfig('express-openid-connect');

export const port = process.env.PORT ?? 3021;
export const session = 'express_oidc'; // all ports of localhost share one jar of cookies
export const apiURL = house.apiUrl;

// What encrypts the session cookie. In production: 32 random bytes, the same on every node.
const secret = process.env.SECRET ?? createHash('sha256').update(house.clientSecret).digest('hex');

const common = {
  issuerBaseURL: house.domain,
  baseURL: process.env.BASE_URL ?? `http://localhost:${port}`,
  clientID: house.clientId,
  secret,
  authRequired: false, // each route says for itself
  auth0Logout: true, // signing out here signs out at the house
  session: { name: session },
  transactionCookie: { name: `${session}_login` },
};

// The package's default: the house posts an ID token to /callback. The application learns who it is, and
// nothing that it could call an API with.
export const idTokenAlone = common;

// The code flow brings an access token for the API, and a refresh token to have it renewed.
export const code = {
  ...common,
  clientSecret: house.clientSecret,
  authorizationParams: {
    response_type: 'code',
    scope: process.env.SCOPE ?? 'openid profile email offline_access read:shows',
    audience: house.audience,
  },
};
