import { Fragment } from 'react';
import { useAuth0, withAuthenticationRequired } from '@auth0/auth0-react';

/** A page for people who are signed in: whoever is not is sent to the house, and back to here. */
export const Profile = withAuthenticationRequired(
  function Profile() {
    const { user } = useAuth0();
    return (
      <section className="card">
        <h1>Your profile</h1>
        <dl>
          {Object.entries(user).map(([claim, value]) => (
            <Fragment key={claim}><dt>{claim}</dt><dd>{String(value)}</dd></Fragment>
          ))}
        </dl>
      </section>
    );
  },
  {
    onRedirecting: () => <p>Taking you to the sign-in page …</p>,
    // Where the back button leads from the house.
    onBeforeAuthentication: () => window.history.replaceState(null, '', '/'),
  },
);
