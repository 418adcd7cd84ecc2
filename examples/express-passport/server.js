import { RedisStore } from 'connect-redis';
import express from 'express';
import session from 'express-session';
import next from 'next';
import passport from 'passport';
import Auth0Strategy from 'passport-auth0';
import { createClient } from 'redis';
import * as config from './config.js';

const redis = createClient({ url: config.redisURL });
redis.on('error', (error) => console.error('redis:', error.message));
await redis.connect();

const site = next({ dev: process.env.NODE_ENV !== 'production', dir: import.meta.dirname });
await site.prepare();
const page = site.getRequestHandler();

// What becomes of who signed in: the user that the session keeps, and every page and route is given as
// req.user. It lies in Redis, so it can hold the access token; the browser has the session's name alone.
passport.use(new Auth0Strategy(config.strategy, (accessToken, refreshToken, extra, profile, done) => {
  const email = profile.emails?.[0]?.value;
  done(null, {
    profile: { sub: profile.id, name: profile.displayName ?? email, email },
    accessToken,
    expires: Date.now() + extra.expires_in * 1000,
  });
}));
passport.serializeUser((user, done) => done(null, user));
passport.deserializeUser((user, done) => done(null, user));

const app = express().disable('x-powered-by');
app.use('/_next', (req, res) => { // scripts and styles need no session
  req.url = req.originalUrl;
  return page(req, res);
});
app.use(session({
  store: new RedisStore({ client: redis, prefix: 'express-passport:' }),
  name: 'express_passport', // all ports of localhost share one jar of cookies
  secret: config.secret,
  resave: false,
  saveUninitialized: false, // strangers get no session
  cookie: { sameSite: 'lax', secure: config.baseURL.startsWith('https:'), maxAge: 24 * 60 * 60 * 1000 },
}));
app.use(passport.session());

app.get('/login', passport.authenticate('auth0', {
  scope: 'openid profile email read:shows',
  audience: config.audience,
}));

app.get('/callback', (req, res, done) => {
  const { returnTo = '/' } = req.session; // passport begins a new session when somebody signs in
  passport.authenticate('auth0', { failureRedirect: '/?failed', successRedirect: returnTo })(req, res, done);
});

// A form, not a link: other sites' requests carry no cookie when they post.
app.post('/logout', (req, res, done) => {
  req.session.destroy((error) => {
    if (error) return done(error);
    res.clearCookie('express_passport').redirect(303, config.logoutURL); // out at the house, too
  });
});

function signedIn(req, res, done) {
  if (req.user && Date.now() < req.user.expires) return done();
  req.session.returnTo = req.originalUrl;
  res.redirect('/login'); // no question is asked while the house knows the browser
}

app.use((req, res, done) => {
  res.set('Cache-Control', 'private, no-store'); // so that the back button asks who is there
  // What a page calls the API with, on the user's behalf.
  req.callAPI = (path) => fetch(config.apiURL + path, { headers: { Authorization: `Bearer ${req.user.accessToken}` } });
  done();
});
app.get('/profile', signedIn, (req, res) => page(req, res));
app.get('/shows', signedIn, (req, res) => page(req, res));
app.use((req, res) => page(req, res));

app.listen(config.port, 'localhost', () => console.log(`${config.baseURL}/`));
