import { createRoot } from 'react-dom/client';
import { Auth0Provider } from '@auth0/auth0-react';
import '../../static/back.js';
import { config, scope } from '../../static/config.js';
import { way } from '../../static/renewal.js';
import '../../static/style.css';
import { App } from './App.jsx';
import { goTo } from './router.js';

// What each way of renewing is called by the SDK.
const renewal = {
  iframe: {},
  memory: { useRefreshTokens: true },
  localstorage: { useRefreshTokens: true, cacheLocation: 'localstorage' },
}[way];

createRoot(document.getElementById('root')).render(
  <Auth0Provider
    domain={config.domain}
    clientId={config.clientId}
    authorizationParams={{ redirect_uri: window.location.origin, audience: config.audience, scope }}
    onRedirectCallback={(appState) => goTo(appState?.returnTo ?? '/')}
    {...renewal}
  >
    <App />
  </Auth0Provider>,
);
