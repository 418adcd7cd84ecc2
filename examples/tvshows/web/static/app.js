// The page around the sign-in: buttons, the table, and the story of what
// happened. Everything about tokens is in oidc.js.

import { connect, claimsOf, SignInError } from "./oidc.js";
import { countDown } from "/shared/countdown.js";

const $ = (id) => document.getElementById(id);
const element = (name, textContent = "", more = {}) => Object.assign(document.createElement(name), { textContent }, more);

// One step of the story; what stands in ${} is shown as a value, a request on lines of its own.
function step(parts, ...values) {
  const li = element("li");
  parts.forEach((part, i) => li.append(part, ...values.slice(i, i + 1).map((v) => element("code", v, { className: /^(GET|POST|Bearer) /.test(v) ? "line" : "" }))));
  $("steps").append(li);
}

function refused(title, text) {
  $("result").replaceChildren(element("h3", title), element("p", text));
  $("result").className = "result bad";
  $("spoken").textContent = title;
}

function show() {
  const tokens = auth?.tokens;
  document.body.dataset.state = tokens ? "in" : "out";
  for (const part of document.querySelectorAll("[data-when]")) part.hidden = part.dataset.when !== document.body.dataset.state;
  $("load").classList.toggle("primary", !!tokens);
  if (!tokens) return;
  const { claims } = tokens;
  $("expires").dateTime = new Date(tokens.expires).toISOString();
  countDown();
  const name = claims.name ?? claims.email ?? claims.sub;
  $("name").textContent = name;
  $("email").textContent = claims.email !== name ? claims.email ?? "" : "";
  $("scope").textContent = tokens.scope;
  $("id-claims").textContent = JSON.stringify(claims, null, 2);
  $("access-claims").textContent = JSON.stringify(claimsOf(tokens.access), null, 2);
}

// Runs what a button starts: a story of its own, and no dead end if it fails.
async function run(action) {
  if (document.body.ariaBusy === "true") return;
  document.body.ariaBusy = "true";
  $("steps").replaceChildren();
  try {
    auth ??= await connect(config);
    await action();
  } catch (error) {
    step`That ended with ${error.code ?? error.message}.`;
    if (!(error instanceof SignInError)) refused("Somebody could not be reached", `${error.message}. Try again in a moment.`);
    else if (error.code !== "login_required") refused("That did not work", `${error.code}: ${error.message}`);
    else $("result").replaceChildren(); // nobody is signed in: what was shown is not for them
  }
  document.body.ariaBusy = "false";
  show();
}

const storyOfTokens = () => {
  step`The page swapped the code for tokens, with the code_verifier that only it knew: ${"POST " + auth.metadata.token_endpoint}`;
  step`It checked the ID token: ${"iss"}, ${"aud"}, ${"exp"}, and ${"nonce"}, the one it had made up.`;
};

async function renewByFrame() {
  step`The page asked the house in a hidden frame: ${`GET ${auth.metadata.authorization_endpoint}\nprompt=none, response_mode=web_message`}`;
  await auth.renewByFrame();
  step`The house knew this browser by its own cookie and posted a code to ${location.origin} alone. ${"state"} and ${"iss"} matched.`;
  storyOfTokens();
}

async function renewByRefreshToken() {
  const before = auth.tokens.refresh;
  step`The page sent its refresh token: ${`POST ${auth.metadata.token_endpoint}\ngrant_type=refresh_token`}`;
  await auth.renewByRefreshToken();
  step`The house answered with a new access token and a ${auth.tokens.refresh === before ? "same" : "new"} refresh token. Using the old one again, later on, would end this sign-in: that is how theft is noticed.`;
}

async function call(options = {}) {
  const token = await auth.accessToken();
  const request = { ...options, headers: { ...options.headers, ...(token && { Authorization: `Bearer ${token}` }) } };
  step`The page asked the API: ${`${options.method ?? "GET"} ${config.apiUrl}/shows\n${token ? "Authorization: Bearer …" : "(no token)"}`}`;
  const response = await fetch(config.apiUrl + "/shows", request);
  step`The API answered ${response.status}.`;
  if (response.ok) return response.json();
  const challenge = response.headers.get("WWW-Authenticate");
  if (challenge) step`It says what it would take: ${challenge}`;
  const { detail, scope } = await response.json().catch(() => ({}));
  if (response.status === 401) refused("401: the API wants to know who you are", "Sign in, then try again.");
  else if (response.status === 403) refused("403: you may not do this", `The API knows who you are, but your access token lacks ${scope}. The page asked for it; the house grants what the person is permitted, and an administrator decides that.`);
  else refused(`${response.status}: the API would not`, detail);
}

async function load() {
  const answer = await call();
  if (!answer) return;
  step`It had checked the token by itself: signature, ${"iss"}, ${"aud"}, ${"exp"}, and the scope ${"read:shows"}. It saw ${answer.caller.subject}, through the application ${answer.caller.client_id}.`;
  const table = $("table").content.cloneNode(true);
  for (const { title, genre, year, seasons } of answer.shows) {
    const row = table.querySelector("tbody").insertRow();
    row.append(element("th", title, { scope: "row" }), element("td", genre, { className: "genre" }));
    for (const number of [year, seasons]) row.append(element("td", number || "–", { className: "number" }));
  }
  $("result").className = "result";
  $("result").replaceChildren(table);
  $("spoken").textContent = `${answer.shows.length} shows`;
}

async function add() {
  const body = JSON.stringify({ title: $("title").value, genre: "Yours" });
  if (!await call({ method: "POST", headers: { "Content-Type": "application/json" }, body })) return;
  $("add").reset();
  await load();
}

const config = await (await fetch("config.json")).json();
$("issuer").textContent = config.issuer;
$("client").textContent = config.clientId;
for (const { name, url } of config.others ?? []) $("others").append(element("a", name, { href: url }));
if (config.inboxUrl) Object.assign($("inbox"), { href: config.inboxUrl, hidden: false });

let auth = null;
await run(async () => {
  if (await auth.handleReturn()) {
    step`You came back from ${config.issuer} with a code in the address. Its ${"state"} was the one this tab had kept, and ${"iss"} named the house.`;
    storyOfTokens();
  } else {
    await renewByFrame();
  }
});

$("sign-in").onclick = () => run(() => auth.signIn());
$("sign-up").onclick = () => run(() => auth.signIn({ screen_hint: "signup" }));
$("sign-out").onclick = () => run(() => auth.signOut());
$("by-frame").onclick = () => run(renewByFrame);
$("by-refresh").onclick = () => run(renewByRefreshToken);
$("load").onclick = () => run(load);
$("add").onsubmit = (event) => { event.preventDefault(); run(add); };
