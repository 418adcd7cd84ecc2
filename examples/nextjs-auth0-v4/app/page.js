import { auth0 } from '../lib/auth0.js';

export default async function Home() {
  const session = await auth0.getSession();
  return (
    <>
      <h1>{session ? `Hello, ${session.user.name ?? session.user.email}` : 'You are signed out'}</h1>
      <p className="card">Anybody may see this page. The server rendered it, and knew who was asking.</p>
    </>
  );
}
