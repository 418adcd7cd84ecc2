// Package tvshows is the example application of Gatehouse: an API about TV
// shows and one application that calls it, written three times, once for each
// way of deploying a web application.
//
//   - [NewAPI] is the API. It checks access tokens and knows nothing of sign-in.
//   - [NewStatic] is files alone: the browser signs in by code and PKCE, and
//     keeps the tokens in the memory of the page.
//   - [NewRendered] renders its pages on a server without state: the tokens
//     travel in an encrypted cookie.
//   - [NewServer] keeps sessions in a database: the cookie is only their name.
//
// All four reach the house by HTTP and import, of this module, package guard
// alone, as an application of yours would. Package gatehouse's dev command
// starts them in one process, each on its own port; nothing here depends on
// that. README.md says which file to read first.
package tvshows
