// Package revocation ends tokens before their time: it follows the feed of a
// Gatehouse server, which says what was taken back, and answers from memory.
// Somebody signs out, is banned, or changes the password, or a key is revoked:
// within a second no guard that follows the feed takes the token any more, and no
// request asked the server about it.
//
//	feed, err := revocation.Follow(ctx, revocation.Options{
//		Issuer:       "https://login.example.com/",
//		ClientID:     os.Getenv("GATEHOUSE_CLIENT_ID"),
//		ClientSecret: os.Getenv("GATEHOUSE_CLIENT_SECRET"),
//	})
//	…
//	tokens, err := bearer.New(bearer.Options{
//		Issuer: "https://login.example.com/", Audience: "https://api.example.com/", Revocations: feed,
//	})
//
// The client needs a grant for the API "https://login.example.com/revocations"
// with the scope read:revocations. Every scheme of the guard that has an option
// Revocations takes the same feed.
//
// A feed that falls silent is not trusted for longer than Options.StaleAfter:
// then, and until the first snapshot is in, tokens are refused or introspected,
// as Options.OnStale says. What is known to be dead stays dead all the while.
//
// A function that is frozen between two requests cannot follow anything. For it
// there is [Poll], which asks for news on the way of a request, every few
// seconds and no oftener.
package revocation
