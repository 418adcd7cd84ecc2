import { createAuth0Client } from '@auth0/auth0-spa-js';

const config = await (await fetch('/config.json')).json();
const client = await createAuth0Client({
  domain: config.domain,
  clientId: config.clientId,
  authorizationParams: { redirect_uri: window.location.origin },
  useRefreshTokens: true,
  cacheLocation: 'localstorage',
});

export const signIn = () => client.loginWithRedirect();
export const handleCallback = () => client.handleRedirectCallback();
export const isSignedIn = () => client.isAuthenticated();
export const accessToken = () => client.getTokenSilently();
export const keptRefreshToken = () => Object.values(localStorage).map((entry) => JSON.parse(entry).body?.refresh_token).find(Boolean);
