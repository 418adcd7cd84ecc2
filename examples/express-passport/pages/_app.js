import Head from 'next/head';
import '../../style.css';

export default function App({ Component, pageProps }) {
  const { user } = pageProps;
  return (
    <>
      <Head>
        <title>express-passport</title>
        <meta name="viewport" content="width=device-width, initial-scale=1" />
      </Head>
      <header>
        <a href="/">express-passport</a>
        <nav aria-label="Pages">
          <a href="/profile">Profile</a>
          <a href="/shows">Shows</a>
          {user ? <span>{user.name}</span> : <a href="/login">Sign in</a>}
        </nav>
        {user && <form method="post" action="/logout"><button>Sign out</button></form>}
      </header>
      <main><Component {...pageProps} /></main>
    </>
  );
}
