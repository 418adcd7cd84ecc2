import Head from 'next/head';
import { UserProvider, useUser } from '@auth0/nextjs-auth0/client';
import '../../style.css';

export default function App({ Component, pageProps }) {
  return (
    <UserProvider user={pageProps.user /* a page that has it spares the browser asking /api/auth/me */}>
      <Head><title>TV Shows with nextjs-auth0</title><link rel="icon" href="data:," /></Head>
      <Header />
      <main><Component {...pageProps} /></main>
    </UserProvider>
  );
}

function Header() {
  const { user, isLoading } = useUser();
  return (
    <header>
      <a href="/">TV Shows with nextjs-auth0</a>
      <nav>
        <a href="/profile">Profile</a>
        <a href="/client">Client</a>
      </nav>
      {/* Links, not <Link>: these lead away from the application. */}
      {isLoading ? null : user ? <a className="button" href="/api/auth/logout">Sign out</a> : <a className="button primary" href="/api/auth/login">Sign in</a>}
    </header>
  );
}
