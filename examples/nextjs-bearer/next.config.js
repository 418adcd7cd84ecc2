import { devConfig } from '../dev-config.js';

const { domain, clientId, audience } = devConfig('nextjs-bearer');

export default {
  env: { DOMAIN: domain, CLIENT_ID: clientId, AUDIENCE: audience }, // none of them a secret
  distDir: process.env.NEXT_DIST_DIR ?? '.next', // the tests build into a folder of their own
  poweredByHeader: false,
};
