// Package routers holds no code: its tests show that the middleware of package
// guard fits the routers people use, and how.
package routers
