package oauth_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/gatehouse-dev/gatehouse/internal/server/demo"
	"github.com/gatehouse-dev/gatehouse/internal/server/servertest"
)

// The configuration of the suite finds the fields and buttons of the pages by names that must stay.
func TestConformancePages(t *testing.T) {
	raw, err := os.ReadFile("../../../docs/conformance-suite.json")
	if err != nil {
		t.Fatal(err)
	}
	type browser []struct {
		Tasks []struct {
			Commands [][]any `json:"commands"`
		} `json:"tasks"`
	}
	var configuration struct {
		Browser  browser                              `json:"browser"`
		Override map[string]struct{ Browser browser } `json:"override"`
	}
	if err := json.Unmarshal(raw, &configuration); err != nil {
		t.Fatal(err)
	}
	all := configuration.Browser
	for _, o := range configuration.Override {
		all = append(all, o.Browser...)
	}

	i := servertest.New(t, servertest.Options{Production: true})
	b := i.NewBrowser(t)
	signIn := b.Authorize(demo.RegularWeb).Body
	b.SignIn(demo.Reader, i.Password(t, demo.Reader))
	consent, signOut := b.Authorize(demo.ThirdParty).Body, b.Get("/oidc/logout").Body
	has := func(page, selector string) bool {
		if action, ok := strings.CutPrefix(selector, "button[value="); ok {
			return strings.Contains(page, `name="action" value="`+strings.TrimSuffix(action, "]")+`"`)
		}
		return strings.Contains(page, `<button class="`+strings.TrimPrefix(selector, "button.")+`"`)
	}
	commands := 0
	for _, visit := range all {
		for _, task := range visit.Tasks {
			for _, c := range task.Commands {
				target := c[2].(string)
				switch commands++; c[0] {
				case "text":
					if !strings.Contains(signIn, `<input id="`+target+`" name="`+target+`"`) {
						t.Errorf("the sign-in page has no field %s", target)
					}
				case "click":
					if !has(signIn, target) && !has(consent, target) && !has(signOut, target) {
						t.Errorf("no page has %s", target)
					}
				}
			}
		}
	}
	if commands < 12 {
		t.Errorf("%d commands were found", commands)
	}
	for name, page := range map[string][2]string{"sign-in": {signIn, "sign_in"}, "consent": {consent, "allow"}, "sign-out": {signOut, "sign_out"}} {
		_, first, _ := strings.Cut(page[0], `<button class="primary"`)
		if !strings.HasPrefix(first, ` name="action" value="`+page[1]+`"`) {
			t.Errorf("the first button of the %s page is not %s", name, page[1])
		}
	}
}
