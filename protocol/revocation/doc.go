// Package revocation is the vocabulary of taking back: the rules that end tokens before their time,
// and how a feed of them stands on the wire. The house writes it, package guard/revocation reads it.
//
// A [Rule] says "everything from X is dead". X is named by a short digest of kind and id, so a
// reader learns nothing about what it does not hold a token of. Rules are numbered in the order
// in which they came into force: who has read up to n has seen every rule up to n. A rule is never
// withdrawn; it ends by itself once nothing that it matches can still be alive.
//
// There are three forms. A [Snapshot] is all rules at one number, in binary. An [Event] is one
// message of a stream of server-sent events (WHATWG HTML §9.2): new rules as lines of JSON, or a
// sign of life. An [Answer] to a poll is one JSON object. Parsers are strict: what is not exactly in
// form is an error that wraps [ErrMalformed], because a rule that was misread is a token that lives on.
package revocation
