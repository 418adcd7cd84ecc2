import { NextResponse } from 'next/server';
import { getAccessToken } from '../../../auth.js';
import { loadShows } from '../../../../shared/tvshows.js';

export async function GET() {
  const accessToken = await getAccessToken();
  if (!accessToken) return NextResponse.json({ problem: 'Your session has ended. Sign in again.' }, { status: 401 });
  const answer = await loadShows(accessToken);
  return NextResponse.json(answer, { status: answer.status });
}
