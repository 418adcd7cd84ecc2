import { getUser } from '../../lib/auth.js';
import { loadShows } from '../../../shared/tvshows.js';

export default async function shows(req, res) {
  const { session, accessToken } = await getUser(req, res); // may write the session's cookie to res
  if (!session) return res.status(401).json({ problem: 'Your session has ended. Sign in again.' });
  const answer = await loadShows(accessToken);
  res.status(answer.status).json(answer);
}
