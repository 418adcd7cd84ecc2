import { getServerSession } from 'next-auth/next';
import Auth0Provider from 'next-auth/providers/auth0';
import { hasExpired, renew, tokensOf } from '../../shared/renew.js';

const client = { clientId: process.env.AUTH0_ID, clientSecret: process.env.AUTH0_SECRET };
const authorization = {
  params: { scope: process.env.AUTH0_SCOPE, audience: process.env.GATEHOUSE_AUDIENCE },
};

export const options = {
  // Two ways to the same house: one is enough for you.
  providers: [
    Auth0Provider({ ...client, issuer: process.env.AUTH0_ISSUER, authorization }), // no slash at the end
    {
      id: 'gatehouse',
      name: 'OpenID Connect',
      type: 'oauth',
      wellKnown: `${process.env.AUTH0_ISSUER}/.well-known/openid-configuration`,
      idToken: true,
      checks: ['pkce', 'state', 'nonce'],
      ...client,
      authorization,
      profile: ({ sub, name, email, picture }) => ({ id: sub, name, email, image: picture }),
    },
  ],
  callbacks: {
    // The tokens live in the encrypted session cookie.
    async jwt({ token, account }) {
      if (account) return { ...token, ...tokensOf(account) };
      if (!hasExpired(token)) return token;
      const renewed = await renew(token);
      if (!renewed) throw new Error('the house has ended this session'); // NextAuth removes the cookie
      return renewed;
    },
  },
};

/**
 * The session and the access token of who is asking, renewed if need be, or nothing. The token is for
 * the server alone: what a session callback of `options` returned, the browser would see, too.
 */
export async function getUser(req, res) {
  let accessToken;
  const session = await getServerSession(req, res, {
    ...options,
    callbacks: {
      ...options.callbacks,
      session({ session, token }) {
        accessToken = token.accessToken;
        return JSON.parse(JSON.stringify(session)); // without what is undefined, which no page can be given
      },
    },
  });
  return session ? { session, accessToken } : {};
}
