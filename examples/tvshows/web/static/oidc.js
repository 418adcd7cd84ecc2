// Sign-in for a page without a server: OpenID Connect by authorization code
// and PKCE (RFC 7636). The tokens live in one variable of this module, where no
// other script can reach them. They are gone with the page, which is why every
// load begins by asking the house again, silently.

const encode = (bytes) => btoa(String.fromCharCode(...new Uint8Array(bytes)))
  .replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
const random = () => encode(crypto.getRandomValues(new Uint8Array(32)));
const challenge = async (verifier) => encode(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(verifier)));

/** The claims of a JWT, to be looked at. Reading is not verifying. */
export const claimsOf = (jwt) => JSON.parse(new TextDecoder().decode(Uint8Array.from(
  atob(jwt.split(".")[1].replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0))));

/** What the house answered instead of tokens. `code` is OAuth's: login_required, invalid_grant, … */
export class SignInError extends Error {
  constructor(code, description) { super(description ?? code); this.code = code; }
}

/** Learns the house's addresses and returns what the page can do with them. */
export async function connect({ issuer, clientId, audience, scopes }) {
  const redirectUri = location.origin + "/";
  const metadata = await (await fetch(issuer + ".well-known/openid-configuration")).json();
  if (metadata.issuer !== issuer) throw new SignInError("issuer_mismatch");

  let tokens = null; // in memory: not in storage, not in a cookie
  let renewing = null;

  // An authorization request. What its answer must match stays here.
  async function request(more) {
    const transaction = { state: random(), nonce: random(), verifier: random() };
    const { state, nonce, verifier } = transaction;
    const url = new URL(metadata.authorization_endpoint);
    url.search = new URLSearchParams({
      response_type: "code", client_id: clientId, redirect_uri: redirectUri, audience, scope: scopes.join(" "),
      state, nonce, code_challenge: await challenge(verifier), code_challenge_method: "S256", ...more,
    });
    return { url, transaction };
  }

  // Judges the house's answer and swaps its code for tokens. The state says that
  // this page asked, iss that this house answered (RFC 9207).
  async function finish(answer, transaction) {
    if (!transaction || answer.state !== transaction.state) throw new SignInError("state_mismatch", "This page did not ask for that.");
    if (answer.iss !== issuer) throw new SignInError("issuer_mismatch", "Somebody else answered.");
    if (answer.error) throw new SignInError(answer.error, answer.error_description);
    await redeem({ grant_type: "authorization_code", code: answer.code, redirect_uri: redirectUri, code_verifier: transaction.verifier }, transaction.nonce);
  }

  async function redeem(grant, nonce) {
    const response = await fetch(metadata.token_endpoint, { method: "POST", body: new URLSearchParams({ client_id: clientId, ...grant }) });
    const body = await response.json();
    if (!response.ok) throw new SignInError(body.error, body.error_description);
    // The ID token came straight from the house, so its signature adds nothing
    // (OpenID Connect Core §3.1.3.7); whom it is for and what it answers do.
    const claims = claimsOf(body.id_token);
    if (claims.iss !== issuer || ![claims.aud].flat().includes(clientId) || claims.exp * 1000 < Date.now() - 30_000 ||
        (nonce ? claims.nonce !== nonce : claims.sub !== tokens.claims.sub)) {
      throw new SignInError("invalid_id_token", "The ID token is not the one that was asked for.");
    }
    tokens = {
      claims, id: body.id_token, access: body.access_token, scope: body.scope ?? scopes.join(" "),
      refresh: body.refresh_token ?? tokens?.refresh, expires: Date.now() + body.expires_in * 1000,
    };
  }

  // Opens an address in a frame nobody sees and waits for its message. Anybody
  // can send one: only this frame, on the house's own origin, is believed.
  function listen(url) {
    const frame = Object.assign(document.createElement("iframe"), { hidden: true, title: "Silent sign-in", src: url });
    const { origin } = new URL(issuer);
    const ended = new AbortController();
    return new Promise((resolve, reject) => {
      addEventListener("message", ({ origin: from, source, data }) => {
        if (from === origin && source === frame.contentWindow && data?.type === "authorization_response") resolve(data.response);
      }, { signal: ended.signal });
      setTimeout(() => reject(new SignInError("timeout", "The house did not answer in the hidden frame.")), 10_000);
      document.body.append(frame);
    }).finally(() => { ended.abort(); frame.remove(); });
  }

  // One renewal at a time: a refresh token is good for one use. Two answers mean
  // that the sign-in is over; any other trouble may pass.
  const once = (renew) => renewing ??= renew()
    .catch((error) => { if (["login_required", "invalid_grant"].includes(error.code)) tokens = null; throw error; })
    .finally(() => { renewing = null; });

  const auth = {
    metadata,
    get tokens() { return tokens; },

    /** Leaves for the house. The transaction waits in this tab's sessionStorage. */
    async signIn(more = {}) {
      const { url, transaction } = await request(more);
      sessionStorage.setItem("transaction", JSON.stringify(transaction));
      location.assign(url);
    },

    /** Finishes a sign-in if this load is the way back from the house; says whether it was. */
    async handleReturn() {
      const answer = Object.fromEntries(new URLSearchParams(location.search));
      if (!answer.state) return false;
      const transaction = JSON.parse(sessionStorage.getItem("transaction"));
      sessionStorage.removeItem("transaction"); // good for one answer
      history.replaceState(null, "", "/"); // the code has no business in the history
      await finish(answer, transaction);
      return true;
    },

    /** Asks the house in a hidden frame who is signed in there: no page, no click. */
    renewByFrame: () => once(async () => {
      const { url, transaction } = await request({ prompt: "none", response_mode: "web_message" });
      await finish(await listen(url), transaction);
    }),

    /** Swaps the refresh token for new tokens, a new refresh token among them. */
    renewByRefreshToken: () => once(() => redeem({ grant_type: "refresh_token", refresh_token: tokens.refresh })),

    /** An access token with some life left, renewed if need be; null when signed out. */
    async accessToken() {
      if (tokens && tokens.expires - Date.now() < 30_000) await (tokens.refresh ? auth.renewByRefreshToken() : auth.renewByFrame());
      return tokens?.access ?? null;
    },

    /** Forgets the tokens and ends the session at the house, which takes back the refresh token. */
    signOut() {
      const url = new URL(metadata.end_session_endpoint);
      url.search = new URLSearchParams({ client_id: clientId, id_token_hint: tokens.id, post_logout_redirect_uri: redirectUri });
      tokens = null;
      location.assign(url);
    },
  };
  return auth;
}
