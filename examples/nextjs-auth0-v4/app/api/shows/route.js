import { NextResponse } from 'next/server';
import { auth0 } from '../../../lib/auth0.js';
import { loadShows } from '../../../../shared/tvshows.js';

export const GET = auth0.withApiAuthRequired(async function shows() {
  try {
    const { token } = await auth0.getAccessToken();
    const answer = await loadShows(token);
    return NextResponse.json(answer, { status: answer.status });
  } catch (error) {
    return NextResponse.json({ problem: `No access token: ${error.message}` }, { status: 503 });
  }
});
