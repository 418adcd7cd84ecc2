package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/chromedp"
)

// axe is the accessibility checker that runs in the page.
var axe = sync.OnceValues(func() (string, error) {
	dir, err := npmPackage("axe-core")
	if err != nil {
		return "", err
	}
	source, err := os.ReadFile(filepath.Join(dir, "axe.min.js"))
	return string(source), err
})

// violation is a rule that a page breaks, and where.
type violation struct {
	ID, Help string
	Nodes    []struct {
		HTML           string
		FailureSummary string
	}
}

func (v violation) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s", v.ID, v.Help)
	for _, n := range v.Nodes {
		fmt.Fprintf(&b, "\n    %s\n      %s", n.HTML, strings.ReplaceAll(n.FailureSummary, "\n", "\n      "))
	}
	return b.String()
}

// accessible demands that axe finds nothing wrong with the page as it is, in light and in dark, on a
// desktop and on a phone; and that nobody has to scroll sideways.
func (b *tab) accessible(what string) {
	b.t.Helper()
	source := must[string](b.t)(axe())
	script[chromedp.Void](b, source+"; undefined")
	for _, on := range []screen{phone, desktop} {
		for _, prefers := range []scheme{"dark", "light"} {
			if err := on.show(b); err != nil {
				b.t.Fatal(err)
			}
			if err := prefers.prefer(b); err != nil {
				b.t.Fatal(err)
			}
			found := script[[]violation](b, `axe.run(document, {resultTypes: ["violations"]}).then((r) => r.violations.map((v) => (
				{ID: v.id, Help: v.help, Nodes: v.nodes.map((n) => ({HTML: n.html, FailureSummary: n.failureSummary}))})))`)
			for _, v := range found {
				b.t.Errorf("%s, %s, %d px: %s", what, prefers, on.width, v)
			}
			if across := script[int64](b, "document.documentElement.scrollWidth"); across > on.width {
				b.t.Errorf("%s, %s, %d px: the page is %d px wide", what, prefers, on.width, across)
			}
			b.keep(fmt.Sprintf("page-%s-%s-%d", strings.ReplaceAll(what, " ", "-"), prefers, on.width))
		}
	}
}

// Every view of every hosted page, in every state that the gallery knows.
func TestEveryViewIsAccessible(t *testing.T) {
	t.Parallel()
	origin, samples := serveGallery(t, func(any) {})
	b := newProfile(t).tab()
	for _, name := range samples {
		b.open(origin + "/sample/" + name)
		b.accessible(name)
	}
	b.harmless()
}
