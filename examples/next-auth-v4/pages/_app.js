import Head from 'next/head';
import { SessionProvider } from 'next-auth/react';
import { Header } from '../lib/Header.js';
import '../../style.css';

export default function App({ Component, pageProps }) {
  return (
    <SessionProvider session={pageProps.session /* a page that has it spares the browser asking */}>
      <Head><title>TV Shows with NextAuth v4</title><link rel="icon" href="data:," /></Head>
      <Header />
      <main><Component {...pageProps} /></main>
    </SessionProvider>
  );
}
