// Anybody may ask.
export default function pricingTiers(req, res) {
  res.json({
    tiers: [
      { name: 'Garden shed', seats: 3, price: 0 },
      { name: 'Workshop', seats: 25, price: 49 },
      { name: 'Factory', seats: 500, price: 690 },
    ],
  });
}
