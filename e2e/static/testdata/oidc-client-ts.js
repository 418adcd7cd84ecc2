import { UserManager, WebStorageStateStore } from 'oidc-client-ts';

const config = await (await fetch('/config.json')).json();
const manager = new UserManager({
  authority: config.domain,
  client_id: config.clientId,
  redirect_uri: window.location.origin,
  scope: 'openid offline_access',
  userStore: new WebStorageStateStore({ store: window.localStorage }),
  automaticSilentRenew: false,
});

export const signIn = () => manager.signinRedirect();
export const handleCallback = () => manager.signinCallback();
export const isSignedIn = async () => Boolean(await manager.getUser());
export async function accessToken() {
  const user = await manager.getUser();
  return (user && !user.expired ? user : await manager.signinSilent()).access_token;
}
export const keptRefreshToken = async () => (await manager.getUser())?.refresh_token;
