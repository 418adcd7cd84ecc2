// What the tests of the refresh race hold of a page: one SDK, its tokens in localStorage, and a clock
// that goes with the house's.
import { accessToken, handleCallback, isSignedIn, keptRefreshToken, signIn } from 'sdk';

const config = await (await fetch('/config.json')).json();
let ahead = 0; // of the machine's clock, in milliseconds
const machine = Date.now.bind(Date);
Date.now = () => machine() + ahead;

if (new URLSearchParams(window.location.search).has('code')) {
  await handleCallback();
  window.history.replaceState(null, '', '/');
}

async function call() {
  let token;
  try {
    token = await accessToken();
  } catch (error) {
    return error.error ?? `network: ${error.message}`;
  }
  const answer = await fetch(`${config.domain}/userinfo`, { headers: { Authorization: `Bearer ${token}` } });
  return String(answer.status);
}

window.race = {
  signIn,
  keptRefreshToken,
  later(milliseconds) { ahead += milliseconds; },
  /** Calls the house with an access token, n times at once, and tells how each went. */
  call: (n) => Promise.all(Array.from({ length: n }, call)),
};
document.body.textContent = await isSignedIn() ? 'Signed in' : 'Signed out';
