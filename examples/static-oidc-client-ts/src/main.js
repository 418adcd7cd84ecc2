import { ErrorResponse, InMemoryWebStorage, UserManager, WebStorageStateStore } from 'oidc-client-ts';
import { config, scope } from '../../static/config.js';
import { showPage } from '../../static/page.js';
import { way } from '../../static/renewal.js';

const here = window.location.origin;
const callback = `${here}/callback`;

// The SDK's own choice, sessionStorage, belongs to one tab: it would go on showing somebody who has signed out
// in another.
const inMemory = new WebStorageStateStore({ store: new InMemoryWebStorage() });
// A refresh token comes for the scope offline_access, and signinSilent uses one that is there;
// otherwise it asks in a hidden iframe.
const renewal = {
  iframe: { scope, userStore: inMemory },
  memory: { scope: `${scope} offline_access`, userStore: inMemory },
  localstorage: { scope: `${scope} offline_access`, userStore: new WebStorageStateStore({ store: window.localStorage }) },
}[way];

const manager = new UserManager({
  authority: config.domain,
  client_id: config.clientId,
  redirect_uri: callback,
  popup_redirect_uri: callback,
  silent_redirect_uri: callback,
  post_logout_redirect_uri: here,
  extraQueryParams: { audience: config.audience },
  ...renewal,
});

if (window.location.pathname === '/callback') {
  try {
    // In a popup or an iframe this hands the answer over, and the window goes away.
    const user = await manager.signinCallback();
    if (user) await startAt(user.state?.path ?? '/');
  } catch (error) {
    await startAt('/', error);
  }
} else {
  await start();
}

function startAt(path, error) {
  window.history.replaceState(null, '', path);
  return start(error);
}

async function start(error) {
  // Somebody may be signed in already: the house knows.
  if (!await manager.getUser()) await manager.signinSilent().catch(() => null);
  await showPage('TV Shows with oidc-client-ts', {
    user: async () => (await manager.getUser())?.profile,
    signIn: (path) => manager.signinRedirect({ state: { path } }),
    signInByPopup: () => manager.signinPopup(),
    signOut: () => manager.signoutRedirect(),
    token: accessToken,
    revoke: () => manager.revokeTokens(),
  }, error);
}

async function accessToken({ fresh }) {
  const user = await manager.getUser();
  if (user && !user.expired && !fresh) return user.access_token;
  try {
    return (await manager.signinSilent()).access_token;
  } catch (error) {
    // The house said no: what is kept here is worth nothing. A network that failed says nothing.
    if (error instanceof ErrorResponse) await manager.removeUser();
    throw error;
  }
}
