import { withUser } from '../user.js';

export const getServerSideProps = withUser();

export default function Profile({ user }) {
  return (
    <>
      <h1>Your profile</h1>
      <dl className="card">
        {Object.entries(user).map(([name, value]) => [<dt key={name}>{name}</dt>, <dd key={`${name} is`}>{value}</dd>])}
      </dl>
    </>
  );
}
