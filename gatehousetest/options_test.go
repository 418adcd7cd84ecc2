package gatehousetest_test

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"testing"

	"github.com/gatehouse-dev/gatehouse/gatehousetest"
)

func TestApplicationsOfOnesOwnAreRegistered(t *testing.T) {
	house := gatehousetest.New(t, gatehousetest.WithSPA("Shop", "http://localhost:4200"), gatehousetest.WithWeb("Office", "https://office.example.com/callback"))
	for name, redirectURI := range map[string]string{"Shop": "http://localhost:4200/callback", "Office": "https://office.example.com/callback"} {
		query := url.Values{"client_id": {house.Client(name).ID}, "redirect_uri": {redirectURI}, "response_type": {"code"}, "scope": {"openid"}, "code_challenge": {"E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"}, "code_challenge_method": {"S256"}}
		res, err := http.Get(house.URL("/authorize?" + query.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != http.StatusOK {
			t.Errorf("%s is asked to sign in with %d", name, res.StatusCode)
		}
	}
}

func TestMailboxHoldsWhatWasSent(t *testing.T) {
	house := gatehousetest.New(t)
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	browser := &http.Client{Jar: jar}
	page, err := browser.Get(house.URL("/u/forgot"))
	if err != nil {
		t.Fatal(err)
	}
	defer page.Body.Close()
	text, err := io.ReadAll(page.Body)
	if err != nil {
		t.Fatal(err)
	}
	flow := regexp.MustCompile(`name="flow" value="([^"]*)"`).FindSubmatch(text)
	if flow == nil {
		t.Fatalf("no form: %d %s", page.StatusCode, text)
	}
	sent, err := browser.PostForm(house.URL("/u/forgot"), url.Values{"flow": {string(flow[1])}, "action": {"forgot"}, "email": {gatehousetest.Alice}})
	if err != nil {
		t.Fatal(err)
	}
	sent.Body.Close()
	if mail := house.Mailbox(gatehousetest.Alice); len(mail) != 1 || len(mail[0].Code) != 6 || mail[0].To != gatehousetest.Alice {
		t.Errorf("answered %d, and Alice got %+v", sent.StatusCode, mail)
	}
}
