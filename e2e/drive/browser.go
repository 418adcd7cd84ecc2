package drive

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// startChromium starts the one browser of all tests.
func (w *workshop) startChromium() (context.Context, error) {
	binary := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			binary = found
			break
		}
	}
	if binary == "" {
		return nil, errors.New("Chromium is not installed; run: scripts/prerequisites (Debian: apt-get install chromium)")
	}
	home := filepath.Join(w.dir, "chromium")
	if err := allowCookiesAcrossSites(home); err != nil {
		return nil, err
	}
	options := []chromedp.ExecAllocatorOption{
		chromedp.ExecPath(binary), chromedp.UserDataDir(home),
		chromedp.Headless, chromedp.NoSandbox, chromedp.DisableGPU, chromedp.NoFirstRun, chromedp.NoDefaultBrowserCheck,
	}
	for _, flag := range []string{
		"disable-quic", "disable-background-networking", "disable-component-update", "disable-sync", "disable-default-apps",
		"ignore-certificate-errors", // the houses of https make theirs themselves
		"disable-dev-shm-usage", "disable-background-timer-throttling", "disable-backgrounding-occluded-windows", "disable-renderer-backgrounding",
	} {
		options = append(options, chromedp.Flag(flag, true))
	}
	options = append(options, chromedp.Flag("force-color-profile", "srgb"), chromedp.Flag("password-store", "basic"))
	ctx, stop := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, leave := chromedp.NewContext(ctx, chromedp.WithErrorf(func(string, ...any) {}))
	w.closers = append(w.closers, func() {
		patient, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		_ = chromedp.Cancel(patient)
		leave()
		stop()
	})
	if err := chromedp.Do(ctx); err != nil {
		return nil, fmt.Errorf("starting %s: %w", binary, err)
	}
	return ctx, nil
}

// allowCookiesAcrossSites writes the preference that other systems' Chromium has by default and
// Debian's has not.
func allowCookiesAcrossSites(home string) error {
	dir := filepath.Join(home, "Default")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "Preferences"), []byte(`{"profile":{"block_third_party_cookies":false,"cookie_controls_mode":0}}`), 0o600)
}

// Profile is one person's browser: its cookies and storage are its own.
type Profile struct {
	T   *testing.T
	Ctx context.Context // chromedp's
}

func NewProfile(t *testing.T) *Profile {
	t.Helper()
	ctx, leave := chromedp.NewContext(Must[context.Context](t)(shared.chromium()), chromedp.WithNewBrowserContext())
	t.Cleanup(leave)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatal(err)
	}
	return &Profile{t, ctx}
}
