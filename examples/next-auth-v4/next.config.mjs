export default {
  experimental: { externalDir: true }, // ../shared
  devIndicators: false,
};
