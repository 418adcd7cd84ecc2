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

app.get('/', (req, res) => res.send(pages.home(req.oidc.user, withCode)));

// Whoever is not signed in signs in first, and comes back here.
app.get('/profile', oidc.requiresAuth(), (req, res) => res.send(pages.profile(req.oidc.user)));

app.get('/shows', oidc.requiresAuth(), async (req, res) => {
  const token = await accessToken(req);
  const answer = token && await fetch(`${config.apiURL}/shows`, { headers: { Authorization: `Bearer ${token}` } });
  if (!answer) {
    res.send(pages.noToken(req.oidc.user));
  } else if (answer.ok) {
    res.send(pages.shows(req.oidc.user, await answer.json()));
  } else {
    res.status(answer.status).send(pages.refused(req.oidc.user, answer.status));
  }
});

// Tokens are renewed when they have expired; ?renew shows how without waiting for it.
async function accessToken(req) {
  const token = req.oidc.accessToken;
  if (token && (token.isExpired() || 'renew' in req.query)) {
    return (await token.refresh()).access_token;
  }
  return token?.access_token;
}

app.use((error, req, res, next) => {
  if (error.error === 'invalid_grant' && req.oidc.user) { // the sign-in has ended at the house, so it ends here
    req[config.session] = undefined;
    return res.redirect('/');
  }
  res.status(error.status ?? 500).send(pages.failed(error));
});

app.listen(config.port, 'localhost', () => console.log(`http://localhost:${config.port}/ (${withCode ? 'code flow' : 'id_token by form_post'})`));
