// openid-client, oauth4webapi and jose, as they are, against a house of development: whoever fails is
// told on standard error, and the process ends with 1.
//
//   node openid_client.mjs DEV.JSON EXAMPLES/package.json

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'

import { Person } from './person.mjs'

const [devFile, packagesFile] = process.argv.slice(2)
const installed = createRequire(packagesFile)
const [oc, o4w, jose] = await Promise.all(['openid-client', 'oauth4webapi', 'jose'].map((name) => import(pathToFileURL(installed.resolve(name)))))

const dev = JSON.parse(readFileSync(devFile))
const registered = (name) => dev.clients.find((client) => client.name === name)
const web = registered('TV Shows Web'), worker = registered('TV Shows Worker'), cli = registered('TV Shows CLI')
const audience = dev.apis[0].audience, redirect_uri = web.redirect_uris[0]
const person = () => new Person(dev.issuer, dev.users[0])

const insecure = { execute: [oc.allowInsecureRequests] }
const discover = (client, authentication) => oc.discovery(new URL(dev.issuer), client.client_id, undefined, authentication, insecure)
const posted = ({ url, form }) => new Request(url, { method: 'POST', body: form })

// A web application with each way to show its secret: sign in, tokens, people's data, renewal, the end.
for (const authentication of [oc.ClientSecretBasic(web.client_secret), oc.ClientSecretPost(web.client_secret)]) {
  const config = await discover(web, authentication)
  const alice = person(), pkceCodeVerifier = oc.randomPKCECodeVerifier()
  const expectedState = oc.randomState() + '+/=', expectedNonce = oc.randomNonce()
  const request = {
    redirect_uri, code_challenge: await oc.calculatePKCECodeChallenge(pkceCodeVerifier), code_challenge_method: 'S256', scope: 'openid email offline_access read:shows', audience,
  }
  const back = await alice.visit(oc.buildAuthorizationUrl(config, { ...request, state: expectedState, nonce: expectedNonce, max_age: '3600' }))
  const checks = { pkceCodeVerifier, expectedState, expectedNonce, maxAge: 3600, idTokenExpected: true }
  const tokens = await oc.authorizationCodeGrant(config, back.url, checks)
  assert.equal(tokens.scope, request.scope)
  const { sub } = tokens.claims()
  assert.equal((await oc.fetchUserInfo(config, tokens.access_token, sub)).email, alice.email)

  const renewed = await oc.refreshTokenGrant(config, tokens.refresh_token)
  assert.equal(renewed.claims().sub, sub)
  assert.equal(renewed.claims().auth_time, tokens.claims().auth_time)
  assert.equal((await oc.tokenIntrospection(config, renewed.access_token)).active, true)
  await oc.tokenRevocation(config, renewed.refresh_token)
  assert.equal((await oc.tokenIntrospection(config, renewed.refresh_token)).active, false)
  await assert.rejects(oc.refreshTokenGrant(config, renewed.refresh_token), { error: 'invalid_grant', status: 400 })
  await assert.rejects(oc.fetchUserInfo(config, renewed.access_token, sub), { code: 'OAUTH_WWW_AUTHENTICATE_CHALLENGE', status: 401 })

  // Nobody is asked again, by a form, and with an ID token in front.
  const again = await alice.visit(oc.buildAuthorizationUrl(config, { ...request, state: expectedState, prompt: 'none', response_mode: 'form_post' }))
  const silent = await oc.authorizationCodeGrant(config, posted(again), { pkceCodeVerifier, expectedState })
  const hybrid = await discover(web, authentication)
  oc.useCodeIdTokenResponseType(hybrid)
  const front = await alice.visit(oc.buildAuthorizationUrl(hybrid, { ...request, state: expectedState, nonce: expectedNonce, response_mode: 'form_post' }))
  assert.equal((await oc.authorizationCodeGrant(hybrid, posted(front), { pkceCodeVerifier, expectedState, expectedNonce })).claims().sub, sub)

  const left = await alice.visit(oc.buildEndSessionUrl(config, { id_token_hint: silent.id_token, post_logout_redirect_uri: web.logout_urls[0], state: 'bye' }))
  assert.equal(left.url.searchParams.get('state'), 'bye')
  const gone = await alice.visit(oc.buildAuthorizationUrl(config, { ...request, state: expectedState, prompt: 'none' }))
  await assert.rejects(oc.authorizationCodeGrant(config, gone.url, { pkceCodeVerifier, expectedState }), { error: 'login_required' })
}

// A machine.
for (const authentication of [oc.ClientSecretBasic(worker.client_secret), oc.ClientSecretPost(worker.client_secret)]) {
  const config = await discover(worker, authentication)
  const tokens = await oc.clientCredentialsGrant(config, { audience, scope: 'read:shows' })
  const keys = jose.createRemoteJWKSet(new URL(config.serverMetadata().jwks_uri))
  const { payload } = await jose.jwtVerify(tokens.access_token, keys, { issuer: dev.issuer, audience, typ: 'at+jwt', requiredClaims: ['client_id', 'jti'] })
  assert.equal(payload.scope, 'read:shows')
}
await assert.rejects(oc.clientCredentialsGrant(await discover(worker, oc.ClientSecretBasic('it is 100% wrong: +&=')), { audience }), { code: 'OAUTH_WWW_AUTHENTICATE_CHALLENGE' })
await assert.rejects(oc.clientCredentialsGrant(await discover(worker, oc.ClientSecretPost('wrong')), { audience }), { error: 'invalid_client', status: 401 })

// A program on a device, by the layer below, which checks signatures when it is told to.
const plain = { [o4w.allowInsecureRequests]: true }
for (const algorithm of ['oidc', 'oauth2']) {
  const as = await o4w.processDiscoveryResponse(new URL(dev.issuer), await o4w.discoveryRequest(new URL(dev.issuer), { ...plain, algorithm }))
  const client = { client_id: cli.client_id }, loopback = 'http://127.0.0.1:49152/callback', verifier = o4w.generateRandomCodeVerifier()
  const address = new URL(as.authorization_endpoint)
  address.search = new URLSearchParams({
    client_id: client.client_id, redirect_uri: loopback, response_type: 'code', scope: 'openid', audience, max_age: '0',
    code_challenge: await o4w.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256',
  })
  const params = o4w.validateAuthResponse(as, client, (await person().visit(address)).url, o4w.expectNoState)
  const response = await o4w.authorizationCodeGrantRequest(as, client, o4w.None(), params, loopback, verifier, plain)
  const tokens = await o4w.processAuthorizationCodeResponse(as, client, response, { requireIdToken: true })
  await o4w.validateApplicationLevelSignature(as, response, plain)
  const call = new Request('http://localhost/', { headers: { authorization: `Bearer ${tokens.access_token}` } })
  const claims = await o4w.validateJwtAccessToken(as, call, audience, { ...plain, signingAlgorithms: ['ES256'] })
  assert.equal(claims.client_id, cli.client_id)

  const device = await o4w.processDeviceAuthorizationResponse(as, client, await o4w.deviceAuthorizationRequest(as, client, o4w.None(), { scope: 'openid' }, plain))
  await assert.rejects(async () => o4w.processDeviceCodeResponse(as, client, await o4w.deviceCodeGrantRequest(as, client, o4w.None(), device.device_code, plain)), { error: 'authorization_pending' })
}
