export default {
  experimental: { externalDir: true }, // ../shared
  devIndicators: false,
  // Pages that the browser kept would come back by its back button, after signing out.
  headers: () => [{ source: '/((?!_next/).*)', headers: [{ key: 'Cache-Control', value: 'private, no-store' }] }],
};
