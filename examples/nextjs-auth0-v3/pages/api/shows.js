import { getAccessToken, withApiAuthRequired } from '@auth0/nextjs-auth0';
import { loadShows } from '../../../shared/tvshows.js';

export default withApiAuthRequired(async function shows(req, res) {
  try {
    // Renews a token that has less than a minute left, and writes the session's cookie to res.
    const { accessToken } = await getAccessToken(req, res);
    const answer = await loadShows(accessToken);
    res.status(answer.status).json(answer);
  } catch (error) {
    // The house has ended the session; any other failure may pass.
    const over = error.cause?.error === 'invalid_grant';
    res.status(over ? 401 : 503).json({ problem: over ? 'Your session has ended. Sign in again.' : `No access token: ${error.message}` });
  }
});
