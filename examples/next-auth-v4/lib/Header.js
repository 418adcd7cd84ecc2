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
      {/* The session here ends, then the one at the house. */}
      {status === 'authenticated' && <button onClick={() => signOut({ callbackUrl: '/api/leave' })}>Sign out</button>}
      {status === 'unauthenticated' && <button className="primary" onClick={() => signIn('auth0')}>Sign in</button>}
    </header>
  );
}
