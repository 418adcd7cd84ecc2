import { useAuth0 } from '@auth0/auth0-react';

export default function Home() {
  const { user, error } = useAuth0();
  return (
    <>
      <h1>{user ? `Hello, ${user.name ?? user.email}` : 'Billing without a server of your own'}</h1>
      {error && <p className="bad" role="alert">{error.message}</p>}
      <section className="card">
        <p>These pages are files. Two functions answer what they ask for:</p>
        <dl>
          <dt><code>/api/pricing-tiers</code></dt><dd>anybody</dd>
          <dt><code>/api/billing-info</code></dt><dd>whoever shows an access token with <code>read:billing</code></dd>
        </dl>
        <p className="quiet">The token is in this page&rsquo;s memory. No cookie of ours exists.</p>
      </section>
    </>
  );
}
