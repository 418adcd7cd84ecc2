// How an SDK gets a new access token when the old one has run out. A real application settles on one
// of these ways; the examples let you choose, and remember the choice in this browser.
export const ways = {
  iframe: 'hidden iframe',
  memory: 'refresh token, in memory',
  localstorage: 'refresh token, in localStorage',
};

const wanted = new URLSearchParams(window.location.search).get('renewal');
if (wanted in ways) localStorage.setItem('renewal', wanted);

const kept = localStorage.getItem('renewal');
export const way = kept in ways ? kept : 'iframe';

/** Settles on a way, and begins anew with it. */
export const choose = (name) => window.location.assign(`/?renewal=${name}`);
