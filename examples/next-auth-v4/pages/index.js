import { signIn } from 'next-auth/react';
import { getUser } from '../lib/auth.js';

export default function Home({ session }) {
  return (
    <>
      <h1>{session ? `Hello, ${session.user.name ?? session.user.email}` : 'You are signed out'}</h1>
      <div className="card">
        <p>Anybody may see this page. The server rendered it, and knew who was asking.</p>
        {!session && <p><button onClick={() => signIn('gatehouse')}>Sign in with OpenID Connect</button></p>}
      </div>
    </>
  );
}

export async function getServerSideProps({ req, res }) {
  const { session = null } = await getUser(req, res);
  return { props: { session } };
}
