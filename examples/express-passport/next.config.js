export default {
  distDir: process.env.NEXT_DIST_DIR ?? '.next', // the tests build into a folder of their own
  poweredByHeader: false,
};
