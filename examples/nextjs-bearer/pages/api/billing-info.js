import express from 'express';
import { auth, requiredScopes } from 'express-oauth2-jwt-bearer';

// The middleware reads the request as Express makes it, so this route is an Express application; to
// Next.js it is a handler like any other. strict demands an access token by RFC 9068.
const app = express().disable('x-powered-by');
app.use(auth({ issuerBaseURL: process.env.DOMAIN, audience: process.env.AUDIENCE, strict: true }));
app.use(requiredScopes('read:billing'));

app.use((req, res) => {
  const { sub, jti } = req.auth.payload;
  res.set('Cache-Control', 'no-store').json({
    account: sub, tier: 'Workshop', amount: 49, due: '2027-01-01', checked_by: 'express-oauth2-jwt-bearer', token_id: jti,
  });
});

// 400, 401 and 403 with the challenge that RFC 6750 asks for.
app.use((error, req, res, next) => {
  const status = error.status ?? 500;
  res.status(status).set('Cache-Control', 'no-store').set(error.headers ?? {})
    .json({ error: error.code, error_description: status < 500 ? error.message : 'The token could not be checked' });
});

export default app;

export const config = { api: { bodyParser: false, externalResolver: true } };
