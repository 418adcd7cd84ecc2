import { cookies } from 'next/headers';
import { auth0 } from '../../lib/auth0.js';
import { Claims } from '../../../shared/Claims.js';
import { Shows } from '../../../shared/Shows.js';

// Whoever is not signed in signs in first, and comes back here.
export default auth0.withPageAuthRequired(async function Profile() {
  const { user } = await auth0.getSession();
  // The application's own API route knows the user by the same cookie, which the server passes on.
  const answer = await fetch(new URL('/api/shows', process.env.APP_BASE_URL), {
    headers: { Cookie: (await cookies()).toString() },
    cache: 'no-store',
  });
  return (
    <>
      <h1>Your profile</h1>
      <section className="card"><h2>You</h2><Claims user={user} /></section>
      <section className="card"><h2>Your shows</h2><Shows answer={await answer.json()} /></section>
    </>
  );
}, { returnTo: '/profile' });
