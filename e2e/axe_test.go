package e2e

import (
	"testing"

	"github.com/gatehouse-dev/gatehouse/e2e/drive"
)

// clicks tells what is wrong with the forms of a page: a second click while the first is on its way must send nothing,
// and coming back to the page must make it work again.
const clicks = `[...document.forms].filter((form) => form.elements.flow).flatMap((form) => {
	const sent = () => form.dispatchEvent(new SubmitEvent("submit", {cancelable: true}));
	const first = sent(), second = sent();
	dispatchEvent(new PageTransitionEvent("pageshow"));
	const back = sent();
	return first && !second && back ? [] : ["sent by a click: " + first + ", by the next: " + second + ", after coming back: " + back];
})`

// Every view of every hosted page, in every state that the gallery knows.
func TestEveryViewIsAccessible(t *testing.T) {
	t.Parallel()
	origin, samples := serveGallery(t, func(any) {})
	b := drive.NewProfile(t).Tab()
	for _, name := range samples {
		b.Open(origin + "/sample/" + name)
		b.Accessible(name)
		b.Readable(name)
		if wrong := drive.Script[[]string](b, clicks); len(wrong) > 0 {
			t.Errorf("%s: %s", name, wrong)
		}
	}
	b.Harmless()
}
