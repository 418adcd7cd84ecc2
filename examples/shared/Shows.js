/** What /api/shows answered. */
export function Shows({ answer: { problem, shows, token } }) {
  if (problem) return <p className="bad" role="alert">{problem}</p>;
  return (
    <>
      <ul>{shows.map(({ title, year }) => <li key={title}>{title} ({year})</li>)}</ul>
      <dl className="quiet">
        <dt>Token</dt><dd id="token-id">{token.id}</dd>
        <dt>Scope</dt><dd>{token.scope}</dd>
        <dt>Good until</dt><dd>{new Date(token.expires * 1000).toISOString().slice(11, 19)} UTC</dd>
      </dl>
    </>
  );
}
