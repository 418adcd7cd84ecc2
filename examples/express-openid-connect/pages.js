// Pages, as plain strings. What comes from elsewhere goes through text``, which escapes it.
const escaped = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };
const trusted = (html) => ({ html });
const text = (parts, ...values) => trusted(String.raw({ raw: parts }, ...values.map(inner)));

function inner(value) {
  if (Array.isArray(value)) return value.map(inner).join('');
  return value?.html ?? String(value ?? '').replace(/[&<>"]/g, (c) => escaped[c]);
}

const layout = (user, title, content) => text`<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title>
<link rel="stylesheet" href="/style.css">
<header>
  <a href="/">express-openid-connect</a>
  <nav aria-label="Pages"><a href="/profile">Profile</a><a href="/shows">Shows</a>${user
    ? text`<span>${user.name ?? user.email}</span><a href="/logout">Sign out</a>`
    : text`<a href="/login">Sign in</a>`}</nav>
</header>
<main>
  <h1>${title}</h1>
  ${content}
</main>
</html>`.html;

export const home = (user, withCode) => layout(user, user ? `Hello, ${user.name ?? user.email}` : 'You are signed out', text`
  <section class="card">
    <p>This server asks the house for ${withCode
      ? text`a code, and redeems it for an ID token, an access token and a refresh token: <code>response_type=code</code>.`
      : text`an ID token that the browser posts to <code>/callback</code>: <code>response_type=id_token</code>, <code>response_mode=form_post</code>. It needs no client secret, and has nothing to call an API with.`}</p>
    <p class="quiet">The session is encrypted in the cookie <code>express_oidc</code>. The server keeps nothing.</p>
  </section>`);

export const profile = (user) => layout(user, 'Your profile', text`
  <dl class="card">${Object.entries(user).filter(([name]) => name !== 'sid').map(([name, value]) => text`<dt>${name}</dt><dd>${value}</dd>`)}</dl>`);

export const shows = (user, { shows, caller }) => layout(user, 'Shows', text`
  <section class="card">
    <table><tr><th>Title</th><th>Genre</th><th>Year</th></tr>${shows.map((s) => text`<tr><td>${s.title}</td><td>${s.genre}</td><td>${s.year}</td></tr>`)}</table>
  </section>
  <section class="card">
    <h2>What the API saw</h2>
    <dl><dt>scopes</dt><dd>${caller.scopes.join(' ')}</dd><dt>token</dt><dd id="token-id">${caller.token_id}</dd><dt>until</dt><dd>${caller.expires}</dd></dl>
    <p class="row"><a class="button" href="/shows?renew">Renew the token</a></p>
  </section>`);

export const noToken = (user) => layout(user, 'No access token', text`
  <section class="card"><p>This server got an ID token alone. Start it with <code>npm run start:code</code>, which asks for a code and calls the API.</p></section>`);

export const refused = (user, status) => layout(user, 'The API says no', text`
  <section class="card"><p class="bad">${status}: ${status === 403 ? 'you may not read shows; that takes read:shows' : 'the API could not answer'}</p></section>`);

export const failed = (error) => layout(undefined, 'That did not work', text`
  <section class="card"><p class="bad">${error.error ?? error.message}</p><p><a href="/login">Sign in again</a></p></section>`);
