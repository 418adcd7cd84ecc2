import { headers } from 'next/headers';
import { auth } from '../../auth.js';
import { redirect } from 'next/navigation';
import { Claims } from '../../../shared/Claims.js';
import { Shows } from '../../../shared/Shows.js';

export default async function Profile() {
  // Whoever is not signed in signs in first, and comes back here.
  const session = await auth();
  if (!session) redirect('/api/auth/signin?callbackUrl=/profile');
  // The application's own API route knows the user by the same cookie, which the server passes on.
  const answer = await fetch(new URL('/api/shows', process.env.AUTH_URL), {
    headers: { Cookie: (await headers()).get('cookie') },
    cache: 'no-store',
  });
  return (
    <>
      <h1>Your profile</h1>
      <section className="card"><h2>You</h2><Claims user={session.user} /></section>
      <section className="card"><h2>Your shows</h2><Shows answer={await answer.json()} /></section>
    </>
  );
}
