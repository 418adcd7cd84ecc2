import { withUser } from '../user.js';

export const getServerSideProps = withUser(async ({ query }) => ({ failed: 'failed' in query }));

export default function Home({ user, failed }) {
  return (
    <>
      <h1>{user ? `Hello, ${user.name}` : 'You are signed out'}</h1>
      {failed && <p className="bad" role="alert">Signing in did not work. Try again.</p>}
      <section className="card">
        <p>Express signs people in with <code>passport-auth0</code> and hands each request on to Next.js, which renders this page with <code>req.user</code>.</p>
        <p className="quiet">The session lies in Redis. The cookie <code>express_passport</code> is its name, signed, and nothing else.</p>
      </section>
    </>
  );
}
