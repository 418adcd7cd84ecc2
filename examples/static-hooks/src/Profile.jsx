import React from 'react';
import { withAuth, withLoginRequired } from 'use-auth0-hooks';

/** A page for people who are signed in: whoever is not is sent to the house, and back to here. */
export const Profile = withLoginRequired(withAuth(({ auth: { user } }) => (
  <section className="card">
    <h1>Your profile</h1>
    <dl>
      {Object.entries(user).map(([claim, value]) => (
        <React.Fragment key={claim}><dt>{claim}</dt><dd>{String(value)}</dd></React.Fragment>
      ))}
    </dl>
  </section>
)));
