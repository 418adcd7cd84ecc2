import './back.js';
import './style.css';
import { config } from './config.js';
import { choose, way, ways } from './renewal.js';
import { claimsOf, fetchShows } from './shows.js';

/**
 * The page of the examples whose SDK brings no user interface. It knows no SDK; `person` is what an
 * example made of its own:
 *
 *   user()             who is signed in, as claims; nothing for nobody
 *   signIn(path)       goes to the house and comes back to this path
 *   signInByPopup()    signs in in a small window
 *   signOut()
 *   token({ fresh })   an access token; a fresh one comes from the house
 *   revoke()           takes the tokens back; there is no button without it
 *
 * `error` is what an answer of the house came to that could not be used.
 */
export function showPage(title, person, error) {
  document.title = title;
  document.body.innerHTML = markup;
  const part = (id) => document.getElementById(id);
  part('title').textContent = title;
  part('renewal').append(...Object.entries(ways).map(([name, label]) => new Option(label, name, false, name === way)));
  part('revoke').hidden = !person.revoke;

  async function draw() {
    const user = await person.user();
    const protectedView = window.location.pathname === '/profile';
    if (protectedView && !user) {
      window.history.replaceState(null, '', '/'); // where the back button leads from the house
      return person.signIn('/profile');
    }
    for (const element of document.querySelectorAll('[data-for]')) element.hidden = (element.dataset.for === 'somebody') !== Boolean(user);
    part('greeting').textContent = user ? `Hello, ${user.name ?? user.email}` : 'You are signed out';
    part('home').hidden = protectedView;
    part('profile').hidden = !protectedView;
    part('claims').replaceChildren(...pairs(user ?? {}));
  }

  function showToken(token) {
    const { jti, scope, exp } = token ? claimsOf(token) : {};
    part('token').hidden = !token;
    part('token-id').textContent = jti;
    part('scope').textContent = scope;
    part('until').textContent = new Date(exp * 1000).toLocaleTimeString();
  }

  function showAnswer({ problem = '', shows = [] }) {
    part('problem').textContent = problem;
    part('problem').hidden = !problem;
    part('shows').replaceChildren(...shows.map(({ title, year }) => withText('li', `${title} (${year})`)));
    part('shows').hidden = !shows.length;
  }

  async function getToken(options) {
    try {
      const token = await person.token(options);
      showToken(token);
      return token;
    } catch (error) {
      showToken(null);
      showAnswer({ problem: `No token: ${error.error ?? error.message}` });
      await draw(); // the SDK may have found that nobody is signed in any more
    }
  }

  const actions = {
    'sign-in': () => person.signIn('/'),
    popup: () => person.signInByPopup().then(draw),
    'sign-out': () => person.signOut(),
    renew: () => getToken({ fresh: true }),
    revoke: () => person.revoke(),
    async load() {
      const token = await getToken({ fresh: false });
      if (token) showAnswer(await fetchShows(config.apiUrl, token));
    },
  };
  for (const [id, act] of Object.entries(actions)) {
    part(id).onclick = async () => {
      try {
        showAnswer({});
        await act();
      } catch (error) {
        showAnswer({ problem: error.message });
      }
    };
  }
  part('renewal').onchange = (event) => choose(event.target.value);
  for (const link of document.querySelectorAll('nav a')) {
    link.onclick = (event) => {
      event.preventDefault();
      window.history.pushState(null, '', link.pathname);
      draw();
    };
  }
  window.addEventListener('popstate', draw);
  if (error) showAnswer({ problem: `Signing in did not work: ${error.message}` });
  return draw();
}

const withText = (name, text) => Object.assign(document.createElement(name), { textContent: text });

const pairs = (claims) => Object.entries(claims).flatMap(([name, value]) => [withText('dt', name), withText('dd', value)]);

const markup = `
<header>
  <strong id="title"></strong>
  <nav><a href="/">Shows</a><a href="/profile">Profile</a></nav>
  <button id="sign-out" data-for="somebody" hidden>Sign out</button>
  <span class="row" data-for="nobody" hidden>
    <button id="popup">Sign in by popup</button>
    <button id="sign-in" class="primary">Sign in</button>
  </span>
</header>
<main>
  <p id="problem" class="card bad" role="alert" hidden></p>
  <section id="profile" class="card" hidden>
    <h1>Your profile</h1>
    <dl id="claims"></dl>
  </section>
  <div id="home" class="stack" hidden>
    <h1 id="greeting"></h1>
    <p class="quiet" data-for="nobody" hidden>Demo people and their passwords are on <a href="${config.domain}">the start page of the house</a>.</p>
    <section class="card" data-for="somebody" hidden>
      <h2>The API</h2>
      <p class="row">
        <button id="load" class="primary">Load the shows</button>
        <button id="renew">Renew the token</button>
        <button id="revoke">Revoke the tokens</button>
      </p>
      <dl id="token" hidden>
        <dt>Token</dt><dd id="token-id"></dd>
        <dt>Scope</dt><dd id="scope"></dd>
        <dt>Good until</dt><dd id="until"></dd>
      </dl>
      <ul id="shows" hidden></ul>
    </section>
    <p class="row quiet">
      <label for="renewal">New access tokens come by</label>
      <select id="renewal"></select>
    </p>
  </div>
</main>`;
