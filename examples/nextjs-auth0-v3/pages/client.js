import { useState } from 'react';
import { useUser } from '@auth0/nextjs-auth0/client';
import { Claims } from '../../shared/Claims.js';
import { Shows } from '../../shared/Shows.js';

/** A page that the browser fills in: it asks /api/auth/me who is here, and /api/shows for the shows. */
export default function Client() {
  const { user, isLoading } = useUser();
  const [answer, setAnswer] = useState();

  async function load() {
    const response = await fetch('/api/shows');
    setAnswer(await response.json());
  }

  if (isLoading) return <p>One moment …</p>;
  if (!user) return <><h1>You are signed out</h1><p><a href="/api/auth/login?returnTo=/client">Sign in to see this page</a></p></>;
  return (
    <>
      <h1>Hello, {user.name ?? user.email}</h1>
      <section className="card"><h2>You</h2><Claims user={user} /></section>
      <section className="card">
        <h2>Your shows</h2>
        <p><button className="primary" onClick={load}>Load the shows</button></p>
        {answer && <Shows answer={answer} />}
      </section>
    </>
  );
}
