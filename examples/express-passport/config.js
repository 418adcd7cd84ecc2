import { createHash } from 'node:crypto';
import { devConfig } from '../dev-config.js';

const house = devConfig('express-passport');

export const port = process.env.PORT ?? 3020;
export const baseURL = process.env.BASE_URL ?? `http://localhost:${port}`;
export const redisURL = process.env.REDIS_URL ?? 'redis://localhost:6379';
export const apiURL = house.apiUrl;
export const audience = house.audience;

// What signs the session cookie. In production: 32 random bytes, the same on every node.
export const secret = process.env.SECRET ?? createHash('sha256').update(house.clientSecret).digest('hex');

// passport-auth0 puts https:// before the domain wherever it makes an address of it. The house of
// development speaks http, so its four addresses are spelled out; in production the domain is enough.
export const strategy = {
  domain: new URL(house.domain).host,
  authorizationURL: `${house.domain}/authorize`,
  tokenURL: `${house.domain}/oauth/token`,
  userInfoURL: `${house.domain}/userinfo`,
  expectedIssuer: `${house.domain}/`,
  clientID: house.clientId,
  clientSecret: house.clientSecret,
  callbackURL: `${baseURL}/callback`,
};

export const logoutURL = `${house.domain}/v2/logout?${new URLSearchParams({ client_id: house.clientId, returnTo: baseURL })}`;
