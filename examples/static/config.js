// Where the house is and how it knows this application. It is a file beside index.html, so that one
// build serves every environment.
export const config = await (await fetch('/config.json')).json();

/** What the examples ask for: who it is, and to read the shows. */
export const scope = 'openid profile email read:shows';
