import { useState } from 'react';
import { signIn, useSession } from 'next-auth/react';
import { Claims } from '../../shared/Claims.js';
import { Shows } from '../../shared/Shows.js';

/** A page that the browser fills in: it asks /api/auth/session who is here, and /api/shows for the shows. */
export default function Client() {
  const { data: session, status } = useSession();
  const [answer, setAnswer] = useState();

  async function load() {
    const response = await fetch('/api/shows');
    setAnswer(await response.json());
  }

  if (status === 'loading') return <p>One moment …</p>;
  if (!session) return <><h1>You are signed out</h1><p><button onClick={() => signIn('auth0')}>Sign in to see this page</button></p></>;
  return (
    <>
      <h1>Hello, {session.user.name ?? session.user.email}</h1>
      <section className="card"><h2>You</h2><Claims user={session.user} /></section>
      <section className="card">
        <h2>Your shows</h2>
        <p><button className="primary" onClick={load}>Load the shows</button></p>
        {answer && <Shows answer={answer} />}
      </section>
    </>
  );
}
