// Package resource tests the examples of resource servers in other languages, examples/spring-api and
// examples/python-api, with access tokens of a real house; and that nothing fails while the house
// changes its signing keys.
//
// It needs a JDK, Maven and the example's Python packages: `scripts/prerequisites` installs them.
package resource
