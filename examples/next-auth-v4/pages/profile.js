import { getUser } from '../lib/auth.js';
import { Claims } from '../../shared/Claims.js';
import { Shows } from '../../shared/Shows.js';

export default function Profile({ session, answer }) {
  return (
    <>
      <h1>Your profile</h1>
      <section className="card"><h2>You</h2><Claims user={session.user} /></section>
      <section className="card"><h2>Your shows</h2><Shows answer={answer} /></section>
    </>
  );
}

// Whoever is not signed in signs in first, and comes back here.
export async function getServerSideProps({ req, res }) {
  const { session } = await getUser(req, res);
  if (!session) return { redirect: { destination: '/api/auth/signin?callbackUrl=/profile', permanent: false } };
  // The application's own API route knows the user by the same cookie, which the server passes on.
  const answer = await fetch(new URL('/api/shows', process.env.NEXTAUTH_URL), { headers: { Cookie: req.headers.cookie } });
  return { props: { session, answer: await answer.json() } };
}
