import { withPageAuthRequired } from '@auth0/nextjs-auth0';
import { Claims } from '../../shared/Claims.js';
import { Shows } from '../../shared/Shows.js';

export default function Profile({ user, answer }) {
  return (
    <>
      <h1>Your profile</h1>
      <section className="card"><h2>You</h2><Claims user={user} /></section>
      <section className="card"><h2>Your shows</h2><Shows answer={answer} /></section>
    </>
  );
}

// Whoever is not signed in signs in first, and comes back here. The SDK adds the user to the props.
export const getServerSideProps = withPageAuthRequired({
  async getServerSideProps({ req, res }) {
    // The application's own API route knows the user by the same cookie, which goes both ways: the route
    // may have renewed the tokens in it.
    const answer = await fetch(new URL('/api/shows', process.env.AUTH0_BASE_URL), { headers: { Cookie: req.headers.cookie } });
    res.setHeader('Set-Cookie', answer.headers.getSetCookie());
    if (answer.status === 401) return { redirect: { destination: '/api/auth/logout', permanent: false } };
    return { props: { answer: await answer.json() } };
  },
});
