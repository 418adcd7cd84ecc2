import { useAuth0 } from '@auth0/auth0-react';
import { Profile } from './Profile.jsx';
import { Shows } from './Shows.jsx';
import { choice, choices } from './renewal.js';
import { follow, usePath } from './router.js';

export function App({ apiUrl }) {
  const { isLoading, isAuthenticated, error, loginWithRedirect, logout } = useAuth0();
  const path = usePath();

  if (isLoading) return <main><p>One moment …</p></main>;
  return (
    <>
      <header>
        <strong>TV Shows in React</strong>
        <a href="/" onClick={follow}>Shows</a>
        <a href="/profile" onClick={follow}>Profile</a>
        {isAuthenticated
          ? <button onClick={() => logout({ logoutParams: { returnTo: window.location.origin } })}>Sign out</button>
          : <button className="primary" onClick={() => loginWithRedirect()}>Sign in</button>}
      </header>
      <main>
        {error && <p className="card bad" role="alert">Signing in did not work: {error.message}</p>}
        {path === '/profile' ? <Profile /> : <Home apiUrl={apiUrl} />}
      </main>
    </>
  );
}

function Home({ apiUrl }) {
  const { isAuthenticated, user } = useAuth0();
  return (
    <>
      <h1>{isAuthenticated ? `Hello, ${user.name ?? user.email}` : 'You are signed out'}</h1>
      {isAuthenticated && <Shows apiUrl={apiUrl} />}
      <p className="row quiet">
        <label htmlFor="renewal">New access tokens come by</label>
        <select id="renewal" value={choice} onChange={(event) => window.location.assign(`/?renewal=${event.target.value}`)}>
          {Object.entries(choices).map(([name, { label }]) => <option key={name} value={name}>{label}</option>)}
        </select>
      </p>
    </>
  );
}
