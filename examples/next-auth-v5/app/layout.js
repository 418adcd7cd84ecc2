import { SessionProvider } from 'next-auth/react';
import { auth } from '../auth.js';
import { enter, leave } from './actions.js';
import '../../style.css';

export const metadata = { title: 'TV Shows with Auth.js', icons: 'data:,' };

export default async function Layout({ children }) {
  const session = await auth();
  return (
    <html lang="en">
      <body>
        <header>
          <a href="/">TV Shows with Auth.js</a>
          <nav>
            <a href="/profile">Profile</a>
            <a href="/client">Client</a>
          </nav>
          <form action={session ? leave : enter}>
            <button className={session ? '' : 'primary'}>{session ? 'Sign out' : 'Sign in'}</button>
          </form>
        </header>
        <main><SessionProvider session={session}>{children}</SessionProvider></main>
      </body>
    </html>
  );
}
