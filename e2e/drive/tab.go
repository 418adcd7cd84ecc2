package drive

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

// Tab is one Tab, with hands and eyes: what a person does and sees, waiting as a person does. Every
// verb ends the test when it cannot be done. It notes what its pages ask for and what runs in them.
type Tab struct {
	T   *testing.T
	Ctx context.Context // chromedp's

	mu         sync.Mutex
	requests   []*network.Request
	violations []string                     // of a content security policy
	ran        []string                     // scripts that called pwned(…), and dialogs
	ahead      map[string]preload.IngStatus // what was fetched before anybody went there, and how that went
}

// Option prepares a tab before its first page.
type Option func(*Tab) error

// WithoutJavaScript switches scripts off.
func WithoutJavaScript(b *Tab) error {
	return Send(b, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
}

// Screen is what a tab is seen on.
type Screen struct {
	width, height int64
	mobile        bool
}

// A Desktop's window, a Phone's, and the narrowest that WCAG 2.2 (1.4.10) speaks of.
var (
	Desktop = Screen{1280, 800, false}
	Phone   = Screen{390, 844, true}
	Narrow  = Screen{320, 568, true}
)

func (s Screen) Show(b *Tab) error {
	return Send(b, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: s.width, Height: s.height, DeviceScaleFactor: 1, Mobile: s.mobile})
}

// Scheme is what a person prefers: light or dark.
type Scheme string

func (s Scheme) Prefer(b *Tab) error {
	return Send(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: string(s)}, {Name: "prefers-reduced-motion", Value: "reduce"},
	}})
}

// Tab opens a Tab.
func (p *Profile) Tab(options ...Option) *Tab {
	p.T.Helper()
	ctx, leave := chromedp.NewContext(p.Ctx)
	b := &Tab{T: p.T, Ctx: ctx}
	p.T.Cleanup(func() { b.leave(); leave() })
	if err := chromedp.Listen(ctx, b.note); err != nil {
		p.T.Fatal(err)
	}
	err := errors.Join(
		Send(b, network.Enable, network.EnableParams{}), Send(b, audits.Enable, cdp.Empty{}),
		Send(b, runtime.AddBinding, runtime.AddBindingParams{Name: "pwned"}),
	)
	for _, prepare := range slices.Concat([]Option{Desktop.Show, Scheme("light").Prefer}, options) {
		err = errors.Join(err, prepare(b))
	}
	if err != nil {
		p.T.Fatal(err)
	}
	return b
}

// Send gives the tab a command that has no answer.
func Send[P any](b *Tab, command cdp.Command[P, cdp.Empty], params P) error {
	_, err := chromedp.Call(b.Ctx, command, params)
	return err
}

func (b *Tab) note(event any) {
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

// Requested returns the addresses the tab has asked for.
func (b *Tab) Requested() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []string
	for _, r := range b.requests {
		out = append(out, r.URL)
	}
	return out
}

// Violations returns what a content security policy had to stop since Harmless was asked last.
func (b *Tab) Violations() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.violations)
}

// FetchedAhead reports whether each of these addresses has been fetched before anybody went there,
// well or not.
func (b *Tab) FetchedAhead(addresses []string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return !slices.ContainsFunc(addresses, func(address string) bool {
		return b.ahead[address] != preload.IngStatusReady && b.ahead[address] != preload.IngStatusFailure
	})
}

// ForgetFetchedAhead makes FetchedAhead begin anew.
func (b *Tab) ForgetFetchedAhead() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ahead = nil
}

// Harmless demands that no foreign script ran and that no policy had to stop one.
func (b *Tab) Harmless() {
	b.T.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.ran) > 0 {
		b.T.Errorf("%s: foreign scripts ran: %q", b.Address(), b.ran)
	}
	if len(b.violations) > 0 {
		b.T.Errorf("%s: the content security policy had to stop: %q", b.Address(), b.violations)
	}
	b.ran, b.violations = nil, nil
}

// Open goes to an address and waits until it has loaded. A page that cannot be reached ends the test.
func (b *Tab) Open(address string) {
	b.T.Helper()
	b.do("open "+address, chromedp.Navigate(address))
}

func (b *Tab) Reload() { b.T.Helper(); b.do("reload", chromedp.Reload()) }

// Back presses the browser's Back button. A page that the browser kept does not load again, so there
// is nothing to wait for but what is on it.
func (b *Tab) Back() {
	b.T.Helper()
	history, err := chromedp.Run(b.Ctx, chromedp.NavigationEntries())
	if err == nil && history.CurrentIndex == 0 {
		err = errors.New("there is nothing before this page")
	}
	if err == nil {
		err = Send(b, page.NavigateToHistoryEntry, page.NavigateToHistoryEntryParams{EntryID: history.Entries[history.CurrentIndex-1].ID})
	}
	if err != nil {
		b.T.Fatalf("could not go back: %v", err)
	}
}

func (b *Tab) do(what string, steps ...chromedp.Action[chromedp.Void]) {
	b.T.Helper()
	ctx, cancel := context.WithTimeout(b.Ctx, Patience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		b.T.Fatalf("could not %s: %v", what, err)
	}
}

// Evaluate runs an expression in the page and waits for its promise, if it is one.
func Evaluate[T any](b *Tab, expression string, options ...chromedp.EvaluateOption) (T, error) {
	ctx, cancel := context.WithTimeout(b.Ctx, Patience)
	defer cancel()
	return chromedp.Run(ctx, chromedp.Evaluate[T](expression, append(options, chromedp.EvalAwaitPromise)...))
}

// Script runs an expression that must succeed.
func Script[T any](b *Tab, expression string, options ...chromedp.EvaluateOption) T {
	b.T.Helper()
	v, err := Evaluate[T](b, expression, options...)
	if err != nil {
		b.T.Fatalf("%s: %s: %v", b.Address(), expression, err)
	}
	return v
}

// Quoted makes a string one of JavaScript's.
func Quoted(s string) string {
	raw, _ := json.Marshal(s)
	return string(raw)
}

// Address is where the tab is.
func (b *Tab) Address() string {
	at, err := chromedp.Run(b.Ctx, chromedp.Location())
	if err != nil {
		return "?"
	}
	return at
}

// Text is what can be read on the page.
func (b *Tab) Text() string {
	text, err := Evaluate[string](b, `document.body?.innerText ?? ""`)
	if err != nil {
		return ""
	}
	return text
}

// Wait waits until ok holds.
func (b *Tab) Wait(what string, ok func() bool) {
	b.T.Helper()
	err := WaitFor(b.Ctx, func() error {
		if !ok() {
			return errors.New("it does not hold")
		}
		return nil
	})
	if err != nil {
		b.T.Fatalf("waiting until %s: %v. At %s the page says:\n%s", what, err, b.Address(), b.Text())
	}
}

// See waits until all of these words stand on the page.
func (b *Tab) See(words ...string) {
	b.T.Helper()
	b.Wait(fmt.Sprintf("the page says %q", words), func() bool {
		text := plain(b.Text())
		return !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(text, plain(w)) })
	})
}

// Finds opens an address and tells what is there if these words are not, at first sight: what failed and
// would work the second time has failed.
func (b *Tab) Finds(address string, words ...string) error {
	b.T.Helper()
	b.Open(address)
	text := b.Text()
	for _, w := range words {
		if !strings.Contains(plain(text), plain(w)) {
			return fmt.Errorf("%s led to %s, which lacks %q:\n%s", address, b.Address(), w, text)
		}
	}
	return nil
}

// Lacks demands that none of these words stand on the page as it is.
func (b *Tab) Lacks(words ...string) {
	b.T.Helper()
	for _, w := range words {
		if strings.Contains(plain(b.Text()), plain(w)) {
			b.T.Errorf("%s says %q", b.Address(), w)
		}
	}
}

// plain joins what layout has split.
func plain(text string) string { return strings.Join(strings.Fields(strings.ToLower(text)), " ") }

// At waits until the tab has arrived At an address that begins so and whose page has loaded.
func (b *Tab) At(prefix string) {
	b.T.Helper()
	b.Wait("the tab is at "+prefix, func() bool {
		ready, err := Evaluate[string](b, "document.readyState")
		return err == nil && ready == "complete" && strings.HasPrefix(b.Address(), prefix)
	})
}

// Query returns a parameter of the tab's address.
func (b *Tab) Query(name string) string {
	u, err := url.Parse(b.Address())
	if err != nil {
		return ""
	}
	return u.Query().Get(name)
}

// point is where on the screen something is.
type point struct{ X, Y float64 }

// Press clicks, with the mouse, on the button or link that says this. A button that is disabled or
// covered by something else is waited for.
func (b *Tab) Press(words string) {
	b.T.Helper()
	b.Click(fmt.Sprintf("the button %q", words), `[...document.querySelectorAll("button, a, summary, [role=button]")]
		.find((e) => e.checkVisibility({visibilityProperty: true}) && !e.disabled && e.innerText.replace(/\s+/g, " ").trim() === `+Quoted(words)+`)`)
}

// Fill types into the field with this label, in place of what stands there.
func (b *Tab) Fill(label, value string) {
	b.T.Helper()
	field := `[...document.querySelectorAll("label")].find((l) => l.innerText.trim().startsWith(` + Quoted(label) + `))?.control`
	b.Click(fmt.Sprintf("the field %q", label), field)
	Script[chromedp.Void](b, field+".select()")
	b.do("type", func(ctx context.Context, t *chromedp.Target) (chromedp.Void, error) {
		_, err := cdp.Call(ctx, t, input.InsertText, input.InsertTextParams{Text: value})
		return chromedp.Void{}, err
	})
}

// Choose picks an option of the list with this label.
func (b *Tab) Choose(label, option string) {
	b.T.Helper()
	b.Wait("there is a list "+label, func() bool {
		ok, err := Evaluate[bool](b, `(() => {
			const list = [...document.querySelectorAll("label")].find((l) => l.innerText.trim() === `+Quoted(label)+`)?.control;
			const option = list && [...list.options].find((o) => o.text === `+Quoted(option)+`);
			if (!option) return false;
			list.value = option.value;
			list.dispatchEvent(new Event("change", {bubbles: true}));
			return true;
		})()`)
		return err == nil && ok
	})
}

func (b *Tab) Click(what, element string) {
	b.T.Helper()
	var at point
	b.Wait("there is "+what, func() bool {
		found, err := Evaluate[*point](b, `(() => {
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

// Popup opens a window as a script of the page does when somebody has clicked.
func (b *Tab) Popup(address string) *Tab {
	b.T.Helper()
	return b.Opened("for "+address, func() {
		Script[chromedp.Void](b, "void window.open("+Quoted(address)+")", func(p *runtime.EvaluateParams) { yes := true; p.UserGesture = &yes })
	})
}

// Opened returns the window that opens when this is done.
func (b *Tab) Opened(what string, do func()) *Tab {
	b.T.Helper()
	me := chromedp.FromContext(b.Ctx).Target.TargetID // the browser tells of everybody's windows
	opened := chromedp.WaitNewTarget(b.Ctx, func(i *target.Info) bool { return i.OpenerID == me })
	do()
	select {
	case id := <-opened:
		ctx, leave := chromedp.NewContext(b.Ctx, chromedp.WithTargetID(id))
		p := &Tab{T: b.T, Ctx: ctx}
		b.T.Cleanup(func() { p.leave(); leave() })
		if err := chromedp.Listen(ctx, p.note); err != nil {
			b.T.Fatal(err)
		}
		return p
	case <-time.After(Patience):
		b.T.Fatalf("no window opened %s", what)
		return nil
	}
}

// Picture takes a Picture of the whole page.
func (b *Tab) Picture() ([]byte, error) {
	ctx, cancel := context.WithTimeout(b.Ctx, Patience)
	defer cancel()
	return chromedp.Run(ctx, chromedp.FullScreenshot(100))
}

// Pictures returns where Pictures go; "" when nobody wants any.
func (b *Tab) Pictures() string {
	if dir := os.Getenv("E2E_PICTURES"); dir != "" || !b.T.Failed() {
		return dir
	}
	return filepath.Join(os.TempDir(), "gatehouse-e2e-pictures")
}

// Keep stores a picture of the page under a name.
func (b *Tab) Keep(name string) {
	b.T.Helper()
	dir := b.Pictures()
	if dir == "" {
		return
	}
	png, err := b.Picture()
	if err == nil {
		err = os.MkdirAll(dir, 0o700)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, name+".png"), png, 0o600)
	}
	if err != nil {
		b.T.Logf("no picture %s: %v", name, err)
		return
	}
	if b.T.Failed() {
		b.T.Logf("a picture of %s is in %s", b.Address(), filepath.Join(dir, name+".png"))
	}
}

// leave keeps a picture of the tab of a test that failed.
func (b *Tab) leave() {
	if b.T.Failed() {
		b.Keep(fmt.Sprintf("failed-%s-%p", fileName(b.T), b))
	}
}
