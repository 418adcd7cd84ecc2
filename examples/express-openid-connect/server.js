import express from 'express';
import oidc from 'express-openid-connect';
import { fileURLToPath } from 'node:url';
import * as config from './config.js';
import * as pages from './pages.js';

const withCode = process.argv.includes('--code');
const app = express().disable('x-powered-by');

app.get('/style.css', (req, res) => res.sendFile(fileURLToPath(new URL('../style.css', import.meta.url))));

// Adds /login, /logout and /callback, and req.oidc to every request.
app.use(oidc.auth(withCode ? config.code : config.idTokenAlone));
app.use((req, res, next) => {
  res.set('Cache-Control', 'private, no-store'); // so that the back button asks who is there
  next();
});

// Tokens are renewed before any route runs: this package keeps the session in the cookie and writes it
// with every answer, so one that still had the old tokens could put them back. An answer of the house that
// was lost is asked for again; the house gives the same one. ?renew shows it without waiting for expiry.
app.use(async (req, res, next) => {
  const token = req.oidc.accessToken;
  if (token?.isExpired() || (token && 'renew' in req.query)) {
    await token.refresh().catch((error) => (error.error ? Promise.reject(error) : token.refresh()));
  }
  next();
});

app.get('/', (req, res) => res.send(pages.home(req.oidc.user, withCode)));

// Whoever is not signed in signs in first, and comes back here.
app.get('/profile', oidc.requiresAuth(), (req, res) => res.send(pages.profile(req.oidc.user)));

app.get('/shows', oidc.requiresAuth(), async (req, res) => {
  if (!req.oidc.accessToken) return res.send(pages.noToken(req.oidc.user));
  const { access_token: token } = req.oidc.accessToken;
  const answer = await fetch(`${config.apiURL}/shows`, { headers: { Authorization: `Bearer ${token}` } });
  if (answer.ok) {
    res.send(pages.shows(req.oidc.user, await answer.json()));
  } else {
    res.status(answer.status).send(pages.refused(req.oidc.user, answer.status));
  }
});

app.use((error, req, res, next) => {
  if (error.error === 'invalid_grant' && req.oidc.user) { // the sign-in has ended at the house, so it ends here
    req[config.session] = undefined;
    return res.redirect('/');
  }
  res.status(error.status ?? 500).send(pages.failed(error));
});

app.listen(config.port, 'localhost', () => console.log(`http://localhost:${config.port}/ (${withCode ? 'code flow' : 'id_token by form_post'})`));
