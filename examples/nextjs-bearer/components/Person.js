import { useAuth0 } from '@auth0/auth0-react';

// Who is signed in, and the way in and out.
export default function Person() {
  const { user, isLoading, loginWithRedirect, logout } = useAuth0();
  if (isLoading) return null;
  if (!user) return <button onClick={() => loginWithRedirect({ appState: { returnTo: window.location.pathname } })}>Sign in</button>;
  return (
    <nav aria-label="You">
      <span>{user.name ?? user.email}</span>
      <button onClick={() => logout({ logoutParams: { returnTo: window.location.origin } })}>Sign out</button>
    </nav>
  );
}
