package e2e

import (
	"testing"

	"github.com/gatehouse-dev/gatehouse/e2e/drive"
)

// Every view of every hosted page, in every state that the gallery knows.
func TestEveryViewIsAccessible(t *testing.T) {
	t.Parallel()
	origin, samples := serveGallery(t, func(any) {})
	b := drive.NewProfile(t).Tab()
	for _, name := range samples {
		b.Open(origin + "/sample/" + name)
		b.Accessible(name)
		b.Readable(name)
	}
	b.Harmless()
}
