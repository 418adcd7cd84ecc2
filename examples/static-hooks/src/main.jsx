import React from 'react';
import { render } from 'react-dom';
import { Auth0Provider } from 'use-auth0-hooks';
import '../../static/back.js';
import { config, scope } from '../../static/config.js';
import '../../static/style.css';
import { App } from './App.jsx';

render(
  <Auth0Provider
    domain={config.domain}
    clientId={config.clientId}
    redirectUri={window.location.origin}
    audience={config.audience}
    scope={scope}
    onRedirectCallback={(appState) => window.history.replaceState(null, '', appState?.returnTo?.pathname ?? '/')}
    onRedirecting={() => <p>Taking you to the sign-in page …</p>}
  >
    <App />
  </Auth0Provider>,
  document.getElementById('root'),
);
