// Package page is the face of the house: every hosted page a person sees, as
// view structs, embedded templates and one style sheet. It is a pure view: it
// decides nothing, stores nothing and asks nobody. A handler fills a view and
// hands it to [Renderer.Render], which is the one place where a page meets its
// security headers, so that no page can leave without them.
//
// The pages work without a script. Where a page has one (to show a password,
// to submit a form_post response, to post a web_message) it is inline under a
// nonce; nothing else can run.
//
// Every sentence comes from messages/en.json by a stable id. Errors and
// notices are passed in as those ids ([Message]), never as free text.
//
// Neighbours: internal/web/signin and internal/endpoint/oauth call it;
// internal/web/page/gallery holds one sample of every state for tests.
package page
