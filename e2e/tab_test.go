package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/audits"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/preload"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"
)

// tab is one tab, with hands and eyes: what a person does and sees, waiting as a person does. Every
// verb ends the test when it cannot be done. It notes what its pages ask for and what runs in them.
type tab struct {
	t   *testing.T
	ctx context.Context

	mu         sync.Mutex
	requests   []*network.Request
	violations []string                     // of a content security policy
	ran        []string                     // scripts that called pwned(…), and dialogs
	ahead      map[string]preload.IngStatus // what was fetched before anybody went there, and how that went
}

// option prepares a tab before its first page.
type option func(*tab) error

// withoutJavaScript switches scripts off.
func withoutJavaScript(b *tab) error {
	return send(b, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
}

// screen is what a tab is seen on.
type screen struct {
	width, height int64
	mobile        bool
}

// A desktop's window and a phone's.
var (
	desktop = screen{1280, 800, false}
	phone   = screen{390, 844, true}
)

func (s screen) show(b *tab) error {
	return send(b, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: s.width, Height: s.height, DeviceScaleFactor: 1, Mobile: s.mobile})
}

// scheme is what a person prefers: light or dark.
type scheme string

func (s scheme) prefer(b *tab) error {
	return send(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: string(s)}, {Name: "prefers-reduced-motion", Value: "reduce"},
	}})
}

// tab opens a tab.
func (p *profile) tab(options ...option) *tab {
	p.t.Helper()
	ctx, leave := chromedp.NewContext(p.ctx)
	b := &tab{t: p.t, ctx: ctx}
	p.t.Cleanup(func() { b.leave(); leave() })
	if err := chromedp.Listen(ctx, b.note); err != nil {
		p.t.Fatal(err)
	}
	err := errors.Join(
		send(b, network.Enable, network.EnableParams{}), send(b, audits.Enable, cdp.Empty{}),
		send(b, runtime.AddBinding, runtime.AddBindingParams{Name: "pwned"}),
	)
	for _, prepare := range slices.Concat([]option{desktop.show, scheme("light").prefer}, options) {
		err = errors.Join(err, prepare(b))
	}
	if err != nil {
		p.t.Fatal(err)
	}
	return b
}

// send gives the tab a command that has no answer.
func send[P any](b *tab, command cdp.Command[P, cdp.Empty], params P) error {
	_, err := chromedp.Call(b.ctx, command, params)
	return err
}

func (b *tab) note(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		b.requests = append(b.requests, e.Request)
	case *audits.EventIssueAdded:
		if d := e.Issue.Details; d != nil && d.ContentSecurityPolicyIssueDetails != nil {
			c := d.ContentSecurityPolicyIssueDetails
			b.violations = append(b.violations, fmt.Sprintf("%s %s", c.ViolatedDirective, c.BlockedURL))
		}
	case *runtime.EventBindingCalled:
		if e.Name == "pwned" {
			b.ran = append(b.ran, e.Payload)
		}
	case *preload.EventPrefetchStatusUpdated:
		if b.ahead == nil {
			b.ahead = map[string]preload.IngStatus{}
		}
		b.ahead[e.PrefetchURL] = e.Status
	case *page.EventJavascriptDialogOpening:
		b.ran = append(b.ran, "a dialog: "+e.Message)
	}
}

// requested returns the addresses the tab has asked for.
func (b *tab) requested() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []string
	for _, r := range b.requests {
		out = append(out, r.URL)
	}
	return out
}

// harmless demands that no foreign script ran and that no policy had to stop one.
func (b *tab) harmless() {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.ran) > 0 {
		b.t.Errorf("%s: foreign scripts ran: %q", b.address(), b.ran)
	}
	if len(b.violations) > 0 {
		b.t.Errorf("%s: the content security policy had to stop: %q", b.address(), b.violations)
	}
	b.ran, b.violations = nil, nil
}

// open goes to an address and waits until it has loaded. A page that cannot be reached ends the test.
func (b *tab) open(address string) {
	b.t.Helper()
	b.do("open "+address, chromedp.Navigate(address))
}

func (b *tab) reload() { b.t.Helper(); b.do("reload", chromedp.Reload()) }

// back presses the browser's back button. A page that the browser kept does not load again, so there
// is nothing to wait for but what is on it.
func (b *tab) back() {
	b.t.Helper()
	history, err := chromedp.Run(b.ctx, chromedp.NavigationEntries())
	if err == nil && history.CurrentIndex == 0 {
		err = errors.New("there is nothing before this page")
	}
	if err == nil {
		err = send(b, page.NavigateToHistoryEntry, page.NavigateToHistoryEntryParams{EntryID: history.Entries[history.CurrentIndex-1].ID})
	}
	if err != nil {
		b.t.Fatalf("could not go back: %v", err)
	}
}

func (b *tab) do(what string, steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		b.t.Fatalf("could not %s: %v", what, err)
	}
}

// evaluate runs an expression in the page and waits for its promise, if it is one.
func evaluate[T any](b *tab, expression string, options ...chromedp.EvaluateOption) (T, error) {
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	return chromedp.Run(ctx, chromedp.Evaluate[T](expression, append(options, chromedp.EvalAwaitPromise)...))
}

// script runs an expression that must succeed.
func script[T any](b *tab, expression string, options ...chromedp.EvaluateOption) T {
	b.t.Helper()
	v, err := evaluate[T](b, expression, options...)
	if err != nil {
		b.t.Fatalf("%s: %s: %v", b.address(), expression, err)
	}
	return v
}

// quoted makes a string one of JavaScript's.
func quoted(s string) string {
	raw, _ := json.Marshal(s)
	return string(raw)
}

// address is where the tab is.
func (b *tab) address() string {
	at, err := chromedp.Run(b.ctx, chromedp.Location())
	if err != nil {
		return "?"
	}
	return at
}

// text is what can be read on the page.
func (b *tab) text() string {
	text, err := evaluate[string](b, `document.body?.innerText ?? ""`)
	if err != nil {
		return ""
	}
	return text
}

// wait waits until ok holds.
func (b *tab) wait(what string, ok func() bool) {
	b.t.Helper()
	err := waitFor(b.ctx, func() error {
		if !ok() {
			return errors.New("it does not hold")
		}
		return nil
	})
	if err != nil {
		b.t.Fatalf("waiting until %s: %v. At %s the page says:\n%s", what, err, b.address(), b.text())
	}
}

// see waits until all of these words stand on the page.
func (b *tab) see(words ...string) {
	b.t.Helper()
	b.wait(fmt.Sprintf("the page says %q", words), func() bool {
		text := plain(b.text())
		return !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(text, plain(w)) })
	})
}

// lacks demands that none of these words stand on the page as it is.
func (b *tab) lacks(words ...string) {
	b.t.Helper()
	for _, w := range words {
		if strings.Contains(plain(b.text()), plain(w)) {
			b.t.Errorf("%s says %q", b.address(), w)
		}
	}
}

// plain joins what layout has split.
func plain(text string) string { return strings.Join(strings.Fields(strings.ToLower(text)), " ") }

// at waits until the tab has arrived at an address that begins so and whose page has loaded.
func (b *tab) at(prefix string) {
	b.t.Helper()
	b.wait("the tab is at "+prefix, func() bool {
		ready, err := evaluate[string](b, "document.readyState")
		return err == nil && ready == "complete" && strings.HasPrefix(b.address(), prefix)
	})
}

// query returns a parameter of the tab's address.
func (b *tab) query(name string) string {
	u, err := url.Parse(b.address())
	if err != nil {
		return ""
	}
	return u.Query().Get(name)
}

// point is where on the screen something is.
type point struct{ X, Y float64 }

// press clicks, with the mouse, on the button or link that says this. A button that is disabled or
// covered by something else is waited for.
func (b *tab) press(words string) {
	b.t.Helper()
	b.click(fmt.Sprintf("the button %q", words), `[...document.querySelectorAll("button, a, summary, [role=button]")]
		.find((e) => e.checkVisibility({visibilityProperty: true}) && !e.disabled && e.innerText.replace(/\s+/g, " ").trim() === `+quoted(words)+`)`)
}

// fill types into the field with this label, in place of what stands there.
func (b *tab) fill(label, value string) {
	b.t.Helper()
	field := `[...document.querySelectorAll("label")].find((l) => l.innerText.trim().startsWith(` + quoted(label) + `))?.control`
	b.click(fmt.Sprintf("the field %q", label), field)
	script[chromedp.Void](b, field+".select()")
	b.do("type", func(ctx context.Context, t *chromedp.Target) (chromedp.Void, error) {
		_, err := cdp.Call(ctx, t, input.InsertText, input.InsertTextParams{Text: value})
		return chromedp.Void{}, err
	})
}

// choose picks an option of the list with this label.
func (b *tab) choose(label, option string) {
	b.t.Helper()
	b.wait("there is a list "+label, func() bool {
		ok, err := evaluate[bool](b, `(() => {
			const list = [...document.querySelectorAll("label")].find((l) => l.innerText.trim() === `+quoted(label)+`)?.control;
			const option = list && [...list.options].find((o) => o.text === `+quoted(option)+`);
			if (!option) return false;
			list.value = option.value;
			list.dispatchEvent(new Event("change", {bubbles: true}));
			return true;
		})()`)
		return err == nil && ok
	})
}

func (b *tab) click(what, element string) {
	b.t.Helper()
	var at point
	b.wait("there is "+what, func() bool {
		found, err := evaluate[*point](b, `(() => {
			const e = `+element+`;
			if (!e || document.readyState !== "complete") return null; // what still loads may move
			e.scrollIntoView({block: "center", behavior: "instant"});
			const box = e.getBoundingClientRect(), x = box.x + box.width / 2, y = box.y + box.height / 2;
			const top = document.elementFromPoint(x, y);
			return top && (e === top || e.contains(top) || top.contains(e)) ? {X: x, Y: y} : null;
		})()`)
		if err != nil || found == nil {
			return false
		}
		at = *found
		return true
	})
	b.do("click on "+what, chromedp.MouseClickXY(at.X, at.Y))
}

// popup opens a window as a script of the page does when somebody has clicked.
func (b *tab) popup(address string) *tab {
	b.t.Helper()
	opened := chromedp.WaitNewTarget(b.ctx, func(*target.Info) bool { return true })
	script[chromedp.Void](b, "void window.open("+quoted(address)+")", func(p *runtime.EvaluateParams) { yes := true; p.UserGesture = &yes })
	select {
	case id := <-opened:
		ctx, leave := chromedp.NewContext(b.ctx, chromedp.WithTargetID(id))
		p := &tab{t: b.t, ctx: ctx}
		b.t.Cleanup(func() { p.leave(); leave() })
		if err := chromedp.Listen(ctx, p.note); err != nil {
			b.t.Fatal(err)
		}
		return p
	case <-time.After(patience):
		b.t.Fatalf("no window opened for %s", address)
		return nil
	}
}

// picture takes a picture of the whole page.
func (b *tab) picture() ([]byte, error) {
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	return chromedp.Run(ctx, chromedp.FullScreenshot(100))
}

// pictures returns where pictures go; "" when nobody wants any.
func (b *tab) pictures() string {
	if dir := os.Getenv("E2E_PICTURES"); dir != "" || !b.t.Failed() {
		return dir
	}
	return filepath.Join(os.TempDir(), "gatehouse-e2e-pictures")
}

// keep stores a picture of the page under a name.
func (b *tab) keep(name string) {
	b.t.Helper()
	dir := b.pictures()
	if dir == "" {
		return
	}
	png, err := b.picture()
	if err == nil {
		err = os.MkdirAll(dir, 0o700)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, name+".png"), png, 0o600)
	}
	if err != nil {
		b.t.Logf("no picture %s: %v", name, err)
		return
	}
	if b.t.Failed() {
		b.t.Logf("a picture of %s is in %s", b.address(), filepath.Join(dir, name+".png"))
	}
}

// leave keeps a picture of the tab of a test that failed.
func (b *tab) leave() {
	if b.t.Failed() {
		b.keep(fmt.Sprintf("failed-%s-%p", fileName(b.t), b))
	}
}
