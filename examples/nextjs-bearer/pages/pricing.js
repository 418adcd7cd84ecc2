import { useEffect, useState } from 'react';

export default function Pricing() {
  const [tiers, setTiers] = useState([]);
  useEffect(() => {
    fetch('/api/pricing-tiers').then((answer) => answer.json()).then(({ tiers }) => setTiers(tiers));
  }, []);
  return (
    <>
      <h1>Pricing</h1>
      <section className="card">
        <table>
          <tbody>
            <tr><th>Tier</th><th>Seats</th><th>A month</th></tr>
            {tiers.map((t) => <tr key={t.name}><td>{t.name}</td><td>{t.seats}</td><td>{t.price} €</td></tr>)}
          </tbody>
        </table>
      </section>
    </>
  );
}
