/** Who the house says is here. */
export function Claims({ user }) {
  return (
    <dl>
      {Object.entries(user).filter(([, value]) => value).map(([claim, value]) => (
        <div key={claim} style={{ display: 'contents' }}><dt>{claim}</dt><dd>{String(value)}</dd></div>
      ))}
    </dl>
  );
}
