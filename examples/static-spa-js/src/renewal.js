import { way } from '../../static/renewal.js';

/** What each way of renewing is called by the SDK; both versions say the same. */
export const renewal = {
  iframe: {},
  memory: { useRefreshTokens: true },
  localstorage: { useRefreshTokens: true, cacheLocation: 'localstorage' },
}[way];
