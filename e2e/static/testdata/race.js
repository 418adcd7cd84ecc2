// What the tests of the refresh race hold of a page: one SDK, its tokens in localStorage.
import { handleCallback, isSignedIn, keptRefreshToken, renew, signIn } from 'sdk';

if (new URLSearchParams(window.location.search).has('code')) {
  await handleCallback();
  window.history.replaceState(null, '', '/');
}

const outcome = (renewal) => renewal.then(() => 'ok', (error) => error.error ?? `network: ${error.message}`);

window.race = {
  isSignedIn,
  signIn,
  keptRefreshToken,
  /** Asks the house for new tokens, n times at once, and tells how each went. */
  renew: (n) => Promise.all(Array.from({ length: n }, () => outcome(renew()))),
};
document.body.textContent = await isSignedIn() ? 'Signed in' : 'Signed out';
