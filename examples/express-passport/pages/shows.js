import { withUser } from '../user.js';

// The API is called by the server: the browser sees what it answers, and no token.
export const getServerSideProps = withUser(async ({ req, res }) => {
  const answer = await req.callAPI('/shows');
  if (!answer.ok) {
    res.statusCode = answer.status;
    return { status: answer.status };
  }
  return await answer.json();
});

export default function Shows({ shows, caller, status }) {
  return (
    <>
      <h1>Shows</h1>
      {status && <section className="card"><p className="bad">{status}: {status === 403 ? 'you may not read shows; that takes read:shows' : 'the API could not answer'}</p></section>}
      {shows && (
        <section className="card">
          <table>
            <tbody>
              <tr><th>Title</th><th>Genre</th><th>Year</th></tr>
              {shows.map((s) => <tr key={s.title}><td>{s.title}</td><td>{s.genre}</td><td>{s.year}</td></tr>)}
            </tbody>
          </table>
        </section>
      )}
      {caller && (
        <section className="card">
          <h2>What the API saw</h2>
          <dl>
            <dt>scopes</dt><dd>{caller.scopes.join(' ')}</dd>
            <dt>token</dt><dd id="token-id">{caller.token_id}</dd>
            <dt>until</dt><dd>{caller.expires}</dd>
          </dl>
          <p className="row"><a className="button" href="/login">Renew at the house</a></p>
        </section>
      )}
    </>
  );
}
