import { showPage } from '../../static/page.js';

/**
 * What both versions of the SDK do alike. `fresh` is how getTokenSilently is told not to use its
 * cache, `leaving` how logout is told where to go.
 */
export async function start(client, { fresh, leaving }) {
  const error = await takeAnswer(client);
  await showPage('TV Shows in JavaScript', {
    user: () => client.getUser(),
    signIn: (path) => client.loginWithRedirect({ appState: { path } }),
    signInByPopup: () => client.loginWithPopup(),
    signOut: () => client.logout(leaving),
    token: (options) => client.getTokenSilently(options.fresh ? fresh : {}),
  }, error);
}

/** Takes the house's answer from the address, if there is one, and returns what was wrong with it. */
async function takeAnswer(client) {
  const query = new URLSearchParams(window.location.search);
  if (!query.has('state')) return undefined;
  try {
    const { appState } = await client.handleRedirectCallback();
    window.history.replaceState(null, '', appState?.path ?? '/');
    return undefined;
  } catch (error) {
    window.history.replaceState(null, '', '/');
    return error;
  }
}
