import { useState } from 'react';
import { useAuth0 } from '@auth0/auth0-react';
import { config } from '../../static/config.js';
import { claimsOf, fetchShows } from '../../static/shows.js';

/** Calls the API with an access token, and shows what the token was. */
export function Shows() {
  const { getAccessTokenSilently } = useAuth0();
  const [token, setToken] = useState(null);
  const [answer, setAnswer] = useState(null);

  // From the SDK's cache while the token is good for a while; cacheMode 'off' asks the house.
  async function getToken(options) {
    try {
      const token = await getAccessTokenSilently(options);
      setToken(claimsOf(token));
      return token;
    } catch (error) {
      setToken(null);
      setAnswer({ problem: `No token: ${error.error ?? error.message}` });
    }
  }

  async function load() {
    const token = await getToken();
    if (token) setAnswer(await fetchShows(config.apiUrl, token));
  }

  return (
    <section className="card">
      <h2>The API</h2>
      <p className="row">
        <button className="primary" onClick={load}>Load the shows</button>
        <button onClick={() => getToken({ cacheMode: 'off' })}>Renew the token</button>
      </p>
      {token && (
        <dl>
          <dt>Token</dt><dd id="token-id">{token.jti}</dd>
          <dt>Scope</dt><dd>{token.scope}</dd>
          <dt>Good until</dt><dd>{new Date(token.exp * 1000).toLocaleTimeString()}</dd>
        </dl>
      )}
      {answer?.problem && <p className="bad" role="alert">{answer.problem}</p>}
      {answer?.shows && <ul>{answer.shows.map(({ title, year }) => <li key={title}>{title} ({year})</li>)}</ul>}
    </section>
  );
}
