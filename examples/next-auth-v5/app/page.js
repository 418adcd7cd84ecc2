import { auth } from '../auth.js';
import { enter } from './actions.js';

export default async function Home() {
  const session = await auth();
  return (
    <>
      <h1>{session ? `Hello, ${session.user.name ?? session.user.email}` : 'You are signed out'}</h1>
      <div className="card">
        <p>Anybody may see this page. The server rendered it, and knew who was asking.</p>
        {!session && <form action={enter}><button name="provider" value="gatehouse">Sign in with OpenID Connect</button></form>}
      </div>
    </>
  );
}
