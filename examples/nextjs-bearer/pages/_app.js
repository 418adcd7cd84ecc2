import { Auth0Provider } from '@auth0/auth0-react';
import Head from 'next/head';
import Link from 'next/link';
import { useRouter } from 'next/router';
import { useEffect } from 'react';
import '../../style.css';
import Person from '../components/Person.js';

export default function App({ Component, pageProps }) {
  const router = useRouter();
  useEffect(() => {
    // The back button may bring a page as it was, with whoever was signed in then.
    const again = (event) => event.persisted && window.location.reload();
    window.addEventListener('pageshow', again);
    return () => window.removeEventListener('pageshow', again);
  }, []);
  return (
    <Auth0Provider
      domain={process.env.DOMAIN}
      clientId={process.env.CLIENT_ID}
      authorizationParams={{
        redirect_uri: typeof window === 'undefined' ? undefined : window.location.origin,
        audience: process.env.AUDIENCE,
        scope: 'openid profile email read:billing',
      }}
      onRedirectCallback={(appState) => router.replace(appState?.returnTo ?? '/')}
    >
      <Head>
        <title>nextjs-bearer</title>
        <meta name="viewport" content="width=device-width, initial-scale=1" />
      </Head>
      <header>
        <Link href="/">Acme</Link>
        <nav aria-label="Pages">
          <Link href="/pricing">Pricing</Link>
          <Link href="/billing">Billing</Link>
        </nav>
        <Person />
      </header>
      <main><Component {...pageProps} /></main>
    </Auth0Provider>
  );
}
