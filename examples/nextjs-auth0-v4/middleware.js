import { NextResponse } from 'next/server';
import { auth0 } from './lib/auth0.js';

export async function middleware(request) {
  const response = await auth0.middleware(request); // /auth/login, /auth/callback, /auth/logout, …
  if (request.nextUrl.pathname.startsWith('/auth/') || !(await auth0.getSession(request))) return response;

  // An access token that has run out is renewed here: a server component cannot set the cookie that
  // keeps the new one.
  try {
    await auth0.getAccessToken(request, response);
  } catch (error) {
    // The house has ended the session, so this application does, too. Any other failure may pass.
    if (error.cause?.code === 'invalid_grant') {
      return request.nextUrl.pathname.startsWith('/api/')
        ? NextResponse.json({ problem: 'Your session has ended. Sign in again.' }, { status: 401 })
        : NextResponse.redirect(new URL('/auth/logout', process.env.APP_BASE_URL));
    }
  }
  return response;
}

export const config = {
  matcher: ['/((?!_next/static|_next/image|favicon.ico).*)'],
  runtime: 'nodejs', // to share lib/sessions.js with the pages; with sessions in cookies, edge will do
};
