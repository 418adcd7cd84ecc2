import { auth0 } from '../lib/auth0.js';
import '../../style.css';

export const metadata = { title: 'TV Shows with nextjs-auth0 v4', icons: 'data:,' };

export default async function Layout({ children }) {
  const session = await auth0.getSession();
  return (
    <html lang="en">
      <body>
        <header>
          <a href="/">TV Shows with nextjs-auth0 v4</a>
          <nav>
            <a href="/profile">Profile</a>
            <a href="/client">Client</a>
          </nav>
          {/* Links, not <Link>: these lead away from the application. */}
          {session ? <a className="button" href="/auth/logout">Sign out</a> : <a className="button primary" href="/auth/login">Sign in</a>}
        </header>
        <main>{children}</main>
      </body>
    </html>
  );
}
