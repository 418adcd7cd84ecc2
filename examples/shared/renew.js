/**
 * What NextAuth's documentation leaves to the application: renews the access token that the session
 * holds. Returns null when the house has ended the session. Any other failure may pass, so the session
 * stays as it is and the next request tries again.
 */
export async function renew(token) {
  const answer = await ask(token.refreshToken).catch(() => ({ error: 'temporarily_unavailable' }));
  if (answer.access_token) return { ...token, ...tokensOf(answer) };
  return answer.error === 'invalid_grant' ? null : token;
}

/** What the session keeps of a token response, RFC 6749 section 5.1. */
export function tokensOf({ access_token, refresh_token, expires_in, expires_at }) {
  return { accessToken: access_token, refreshToken: refresh_token, expiresAt: expires_at ?? Math.floor(Date.now() / 1000) + expires_in };
}

export const hasExpired = (token) => Date.now() >= token.expiresAt * 1000;

async function ask(refreshToken) {
  const response = await fetch(`${process.env.GATEHOUSE_DOMAIN}/oauth/token`, {
    method: 'POST',
    body: new URLSearchParams({
      grant_type: 'refresh_token',
      refresh_token: refreshToken,
      client_id: process.env.GATEHOUSE_CLIENT_ID,
      client_secret: process.env.GATEHOUSE_CLIENT_SECRET,
    }),
    signal: AbortSignal.timeout(5000),
  });
  return response.json();
}
