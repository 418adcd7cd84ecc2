import React, { useState } from 'react';
import { useAuth } from 'use-auth0-hooks';
import { config } from '../../static/config.js';
import { Profile } from './Profile.jsx';
import { Shows } from './Shows.jsx';
import { UpstreamError } from './UpstreamError.jsx';

export function App() {
  const { isLoading, error } = useAuth();
  if (isLoading) return <main><p>One moment …</p></main>;
  return (
    <>
      <header>
        <strong>TV Shows with hooks</strong>
        <nav><a href="/">Shows</a><a href="/profile">Profile</a></nav>
        <Door />
      </header>
      <main>
        {error && <p className="card bad" role="alert">Signing in did not work: {error.message}</p>}
        {window.location.pathname === '/profile' ? <Profile /> : <Home />}
      </main>
    </>
  );
}

function Door() {
  const { isAuthenticated, login, logout } = useAuth();
  return isAuthenticated
    ? <button onClick={() => logout({ returnTo: window.location.origin })}>Sign out</button>
    : <button className="primary" onClick={() => login({})}>Sign in</button>;
}

function Home() {
  const { isAuthenticated, user } = useAuth();
  const [asked, ask] = useState(false);
  if (!isAuthenticated) {
    return (
      <>
        <h1>You are signed out</h1>
        <p className="quiet">Demo people and their passwords are on <a href={config.domain}>the start page of the house</a>.</p>
      </>
    );
  }
  return (
    <>
      <h1>Hello, {user.name || user.email}</h1>
      <section className="card">
        <h2>The API</h2>
        <p className="row"><button className="primary" onClick={() => ask(true)}>Load the shows</button></p>
        {asked && <UpstreamError><Shows /></UpstreamError>}
      </section>
    </>
  );
}
