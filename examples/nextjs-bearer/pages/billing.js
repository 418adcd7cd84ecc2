import { useAuth0, withAuthenticationRequired } from '@auth0/auth0-react';
import { useCallback, useEffect, useState } from 'react';

// Only the page is kept from strangers by this, and only for show: the data is kept by the API.
export default withAuthenticationRequired(Billing);

function Billing() {
  const { getAccessTokenSilently } = useAuth0();
  const [answer, setAnswer] = useState();

  const load = useCallback(async (options) => {
    try {
      const token = await getAccessTokenSilently(options);
      const response = await fetch('/api/billing-info', { headers: { Authorization: `Bearer ${token}` } });
      const body = await response.json();
      setAnswer(response.ok ? { info: body } : { problem: `${response.status}: ${body.error_description ?? body.detail}` });
    } catch (error) {
      setAnswer({ problem: error.message });
    }
  }, [getAccessTokenSilently]);

  useEffect(() => { load(); }, [load]);

  return (
    <>
      <h1>Billing</h1>
      <section className="card">
        {answer?.problem && <p className="bad" role="alert">{answer.problem}</p>}
        {answer?.info && (
          <dl>
            <dt>Tier</dt><dd>{answer.info.tier}</dd>
            <dt>Next invoice</dt><dd>{answer.info.amount} € on {answer.info.due}</dd>
            <dt>Account</dt><dd>{answer.info.account}</dd>
            <dt>Checked by</dt><dd>{answer.info.checked_by}</dd>
            <dt>Token</dt><dd id="token-id">{answer.info.token_id}</dd>
          </dl>
        )}
        <p className="row"><button onClick={() => load({ cacheMode: 'off' })}>Renew the token</button></p>
      </section>
    </>
  );
}
