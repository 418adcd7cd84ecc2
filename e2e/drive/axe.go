package drive

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/chromedp/chromedp"
)

// axe is the accessibility checker that runs in the page.
var axe = sync.OnceValues(func() (string, error) {
	dir, err := NPMPackage("axe-core")
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

// Accessible demands that axe finds nothing wrong with the page as it is, in light and in dark, on a
// desktop and on a phone; and that nobody has to scroll sideways.
func (b *Tab) Accessible(what string) {
	b.T.Helper()
	source := Must[string](b.T)(axe())
	Script[chromedp.Void](b, source+"; undefined")
	for _, on := range []Screen{Phone, Desktop} {
		for _, prefers := range []Scheme{"dark", "light"} {
			if err := on.Show(b); err != nil {
				b.T.Fatal(err)
			}
			if err := prefers.Prefer(b); err != nil {
				b.T.Fatal(err)
			}
			found := Script[[]violation](b, `axe.run(document, {resultTypes: ["violations"]}).then((r) => r.violations.map((v) => (
				{ID: v.id, Help: v.help, Nodes: v.nodes.map((n) => ({HTML: n.html, FailureSummary: n.failureSummary}))})))`)
			for _, v := range found {
				b.T.Errorf("%s, %s, %d px: %s", what, prefers, on.width, v)
			}
			if across := Script[int64](b, "document.documentElement.scrollWidth"); across > on.width {
				b.T.Errorf("%s, %s, %d px: the page is %d px wide", what, prefers, on.width, across)
			}
			b.Keep(fmt.Sprintf("page-%s-%s-%d", strings.ReplaceAll(what, " ", "-"), prefers, on.width))
		}
	}
}

// Readable demands that a page fits a narrow screen with text of twice the size (WCAG 2.2, 1.4.4 and 1.4.10), and
// leaves room there to see what is typed.
func (b *Tab) Readable(what string) {
	b.T.Helper()
	if err := Narrow.Show(b); err != nil {
		b.T.Fatal(err)
	}
	for _, size := range []string{"100%", "200%"} {
		wrong := Script[[]string](b, `(() => {
			const root = document.documentElement, wrong = [];
			root.style.fontSize = `+Quoted(size)+`;
			if (root.scrollWidth > root.clientWidth) wrong.push("the page is " + root.scrollWidth + " px wide");
			for (const e of document.querySelectorAll("input:not([type=hidden], [type=checkbox])")) {
				const style = getComputedStyle(e), room = e.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
				if (e.offsetWidth > 1 && room < 3 * parseFloat(style.fontSize)) wrong.push(e.name + " has room for " + room + " px of text");
			}
			return wrong;
		})()`)
		for _, w := range wrong {
			b.T.Errorf("%s, %d px, text of %s: %s", what, Narrow.width, size, w)
		}
		b.Keep(fmt.Sprintf("page-%s-narrow-%s", strings.ReplaceAll(what, " ", "-"), strings.TrimSuffix(size, "%")))
	}
	Script[chromedp.Void](b, `document.documentElement.style.fontSize = ""; undefined`)
	if err := Desktop.Show(b); err != nil {
		b.T.Fatal(err)
	}
}
