// Renews tokens that have run out, and keeps the new ones in the cookie: a server component cannot.
export { auth as middleware } from './auth.js';

export const config = {
  matcher: ['/((?!api/auth|_next/static|_next/image|favicon.ico).*)'],
  runtime: 'nodejs',
};
