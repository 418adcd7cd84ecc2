package grants_test

import (
	"testing"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/base/db"
	"github.com/gatehouse-dev/gatehouse/internal/core/apps"
	"github.com/gatehouse-dev/gatehouse/internal/core/grants"
	"github.com/gatehouse-dev/gatehouse/internal/core/keys"
	"github.com/gatehouse-dev/gatehouse/protocol/jose"
	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
)

// A token that was found good is remembered for its signature alone: each of these is noticed at
// the very next use.
func TestThreat_JW14_ARememberedAccessTokenIsJudgedAnew(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		client := newClient(t, w)
		check := grants.AccessTokens{Clock: w.now, Keys: keys.New(w.now, w.keys), Apps: apps.New(w.now), Grants: w.Grants}
		token := func(jti string) string {
			t.Helper()
			signer, err := check.Keys.Signer(bg, w.tn, jose.ES256)
			if err != nil {
				t.Fatal(err)
			}
			claims := oauth.AccessTokenClaims{
				Issuer: w.tn.Issuer, Subject: "somebody", Audience: jose.Audience{api}, ClientID: client.ClientID, ID: jti,
				IssuedAt: jose.Date(w.now.Now()), Expiry: jose.Date(w.now.Now().Add(10 * time.Minute)),
			}
			payload, err := claims.Payload()
			if err != nil {
				t.Fatal(err)
			}
			made, err := signer.Sign(oauth.TypeAccessToken, payload)
			if err != nil {
				t.Fatal(err)
			}
			return made
		}
		one, other := token("one"), token("other")
		expect := func(token string, good bool) {
			t.Helper()
			for range 2 {
				_, err := check.Check(bg, w.tn, token, api)
				if _, forAny := check.CheckForAny(bg, w.tn, token); (forAny == nil) != good {
					t.Errorf("for any audience: %v, want it good: %v", forAny, good)
				}
				if (err == nil) != good || !good && oauth.CodeOf(err) != oauth.InvalidToken {
					t.Errorf("%v, want it good: %v", err, good)
				}
			}
		}
		expect(one, true)
		expect(other, true)
		if _, err := check.Check(bg, w.tn, one, "https://api/other"); oauth.CodeOf(err) != oauth.InvalidToken {
			t.Errorf("for another audience: %v", err)
		}
		if _, err := check.Check(bg, w.tn, one); oauth.CodeOf(err) != oauth.InvalidToken {
			t.Errorf("for no audience: %v", err)
		}

		if err := w.tn.DB.Write(bg, func(tx *db.Tx) error { return w.RevokeToken(tx, "one") }); err != nil {
			t.Fatal(err)
		}
		expect(one, false)
		expect(other, true)

		client.Disabled = true
		if err := w.tn.DB.Write(bg, func(tx *db.Tx) error { return check.Apps.UpdateClient(tx, client) }); err != nil {
			t.Fatal(err)
		}
		expect(other, false)
		client.Disabled = false
		if err := w.tn.DB.Write(bg, func(tx *db.Tx) error { return check.Apps.UpdateClient(tx, client) }); err != nil {
			t.Fatal(err)
		}
		expect(other, true)

		w.now.Advance(10 * time.Minute)
		expect(other, false)
	})
}

func newClient(t *testing.T, w *world) *apps.Client {
	t.Helper()
	client, _ := apps.NewClient("Worker", apps.Machine)
	if err := w.tn.DB.Write(bg, func(tx *db.Tx) error { return apps.New(w.now).CreateClient(tx, client) }); err != nil {
		t.Fatal(err)
	}
	return client
}
