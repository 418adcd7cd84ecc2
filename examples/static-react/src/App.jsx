import { useAuth0 } from '@auth0/auth0-react';
import { config } from '../../static/config.js';
import { choose, way, ways } from '../../static/renewal.js';
import { Profile } from './Profile.jsx';
import { Shows } from './Shows.jsx';
import { follow, usePath } from './router.js';

export function App() {
  const { isLoading, error } = useAuth0();
  const path = usePath();

  if (isLoading) return <main><p>One moment …</p></main>;
  return (
    <>
      <header>
        <strong>TV Shows in React</strong>
        <nav>
          <a href="/" onClick={follow}>Shows</a>
          <a href="/profile" onClick={follow}>Profile</a>
        </nav>
        <Door />
      </header>
      <main>
        {error && <p className="card bad" role="alert">Signing in did not work: {error.message}</p>}
        {path === '/profile' ? <Profile /> : <Home />}
      </main>
    </>
  );
}

/** In and out: on this page, or in a small window. */
function Door() {
  const { isAuthenticated, loginWithRedirect, loginWithPopup, logout } = useAuth0();
  if (isAuthenticated) return <button onClick={() => logout({ logoutParams: { returnTo: window.location.origin } })}>Sign out</button>;
  return (
    <span className="row">
      <button onClick={() => loginWithPopup()}>Sign in by popup</button>
      <button className="primary" onClick={() => loginWithRedirect()}>Sign in</button>
    </span>
  );
}

function Home() {
  const { isAuthenticated, user } = useAuth0();
  return (
    <>
      <h1>{isAuthenticated ? `Hello, ${user.name ?? user.email}` : 'You are signed out'}</h1>
      {isAuthenticated
        ? <Shows />
        : <p className="quiet">Demo people and their passwords are on <a href={config.domain}>the start page of the house</a>.</p>}
      <p className="row quiet">
        <label htmlFor="renewal">New access tokens come by</label>
        <select id="renewal" value={way} onChange={(event) => choose(event.target.value)}>
          {Object.entries(ways).map(([name, label]) => <option key={name} value={name}>{label}</option>)}
        </select>
      </p>
    </>
  );
}
