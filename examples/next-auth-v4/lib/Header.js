import { signIn, signOut, useSession } from 'next-auth/react';

export function Header() {
  const { status } = useSession();
  return (
    <header>
      <a href="/">TV Shows with NextAuth v4</a>
      <nav>
        <a href="/profile">Profile</a>
        <a href="/client">Client</a>
      </nav>
      {status === 'authenticated' && <button onClick={leave}>Sign out</button>}
      {status === 'unauthenticated' && <button className="primary" onClick={() => signIn('auth0')}>Sign in</button>}
    </header>
  );
}

async function leave() {
  await signOut({ redirect: false }); // the session here, then the one at the house
  window.location.assign('/api/leave');
}
