import { Auth0Provider } from '@auth0/auth0-react';
import Head from 'next/head';
import Link from 'next/link';
import { useRouter } from 'next/router';
import '../../style.css';
import Person from '../components/Person.js';

export default function App({ Component, pageProps }) {
  const router = useRouter();
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
