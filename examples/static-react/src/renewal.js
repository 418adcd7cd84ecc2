// How the SDK gets a new access token when the old one has run out. A real application settles on
// one of these; this one lets you choose, and remembers the choice in this browser.
export const choices = {
  iframe: { label: 'hidden iframe', options: {} },
  memory: { label: 'refresh token, in memory', options: { useRefreshTokens: true } },
  localstorage: { label: 'refresh token, in localStorage', options: { useRefreshTokens: true, cacheLocation: 'localstorage' } },
};

const wanted = new URLSearchParams(window.location.search).get('renewal');
if (wanted in choices) localStorage.setItem('renewal', wanted);

export const choice = localStorage.getItem('renewal') ?? 'iframe';
export const renewal = choices[choice] ?? choices.iframe;
