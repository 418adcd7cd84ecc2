import { createRoot } from 'react-dom/client';
import { Auth0Provider } from '@auth0/auth0-react';
import { App } from './App.jsx';
import { renewal } from './renewal.js';
import { goTo } from './router.js';

// Where the house is and how it knows this application. It is a file beside index.html, so that one
// build serves every environment.
const { domain, clientId, audience, apiUrl } = await (await fetch('/config.json')).json();

createRoot(document.getElementById('root')).render(
  <Auth0Provider
    domain={domain}
    clientId={clientId}
    authorizationParams={{ redirect_uri: window.location.origin, audience, scope: 'openid profile email read:shows' }}
    onRedirectCallback={(appState) => goTo(appState?.returnTo ?? '/')}
    {...renewal.options}
  >
    <App apiUrl={apiUrl} />
  </Auth0Provider>,
);
