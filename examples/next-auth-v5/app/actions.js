'use server';

import { redirect } from 'next/navigation';
import { signIn, signOut } from '../auth.js';
import { leaveURL } from '../../shared/leave.js';

export async function enter(form) {
  await signIn(form.get('provider') ?? 'auth0', { redirectTo: form.get('to') ?? '/' });
}

export async function leave() {
  await signOut({ redirect: false }); // the session here, then the one at the house
  redirect(leaveURL(process.env.AUTH_URL));
}
