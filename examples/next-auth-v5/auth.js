import NextAuth from 'next-auth';
import Auth0 from 'next-auth/providers/auth0';
import { hasExpired, renew, tokensOf } from '../shared/renew.js';

const authorization = {
  params: { scope: process.env.AUTH0_SCOPE, audience: process.env.GATEHOUSE_AUDIENCE },
};

const config = {
  // Two ways to the same house: one is enough for you. Who they are is read from the environment,
  // AUTH_AUTH0_ID and so on; see .env.
  providers: [
    Auth0({ authorization }),
    { id: 'gatehouse', name: 'OpenID Connect', type: 'oidc', authorization, checks: ['pkce', 'state', 'nonce'] },
  ],
  callbacks: {
    // The tokens live in the encrypted session cookie. null removes it.
    jwt({ token, account }) {
      if (account) return { ...token, ...tokensOf(account) };
      return hasExpired(token) ? renew(token) : token;
    },
  },
};

export const { handlers, auth, signIn, signOut } = NextAuth(config);

// The access token is for the server alone: what the session callback of `config` returned, the browser
// would see at /api/auth/session, too.
const withToken = NextAuth({
  ...config,
  callbacks: { ...config.callbacks, session: ({ session, token }) => ({ ...session, accessToken: token.accessToken }) },
});

/** The access token of who is asking, renewed if need be, or nothing. */
export async function getAccessToken() {
  const session = await withToken.auth();
  return session?.accessToken;
}
