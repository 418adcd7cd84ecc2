import { getSession } from '@auth0/nextjs-auth0';

export default function Home({ user }) {
  return (
    <>
      <h1>{user ? `Hello, ${user.name ?? user.email}` : 'You are signed out'}</h1>
      <p className="card">Anybody may see this page. The server rendered it, and knew who was asking.</p>
    </>
  );
}

export async function getServerSideProps({ req, res }) {
  const session = await getSession(req, res);
  return { props: { user: session?.user ?? null } };
}
