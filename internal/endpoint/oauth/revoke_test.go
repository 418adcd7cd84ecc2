package oauth_test

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"testing"

	"github.com/gatehouse-dev/gatehouse/internal/base/db"
	"github.com/gatehouse-dev/gatehouse/internal/core/audit"
	"github.com/gatehouse-dev/gatehouse/internal/server/demo"
	"github.com/gatehouse-dev/gatehouse/internal/server/servertest"
)

// revoked demands the one answer there is to a revocation that went well, or had nothing to do.
// It is JSON, since some clients read every answer as JSON (simple-oauth2 fails without).
func revoked(t testing.TB, what string, got servertest.Tokens) {
	t.Helper()
	if got.Status != http.StatusOK || got.Raw != "{}" || got.Header.Get("Content-Type") != "application/json" {
		t.Errorf("%s: %d %q %q, want 200 and an empty object", what, got.Status, got.Header.Get("Content-Type"), got.Raw)
	}
}

func TestRevoke(t *testing.T) {
	onBoth(t, func(t *testing.T, i *servertest.Instance, restart func(*servertest.Instance) *servertest.Instance) {
		for _, hint := range []string{"", "refresh_token", "access_token", "nonsense"} {
			tokens, _ := i.TokensFor(t, demo.Reader, demo.RegularWeb, "scope", offlineShows)
			tokens = i.Refresh(t, demo.RegularWeb, tokens.RefreshToken)
			revoked(t, "refresh token", i.PostForm(t, "/oauth/revoke", demo.RegularWeb, "token", tokens.RefreshToken, "token_type_hint", hint))
			dead(t, i, "after the revocation of the refresh token", demo.RegularWeb, tokens)
			revoked(t, "once more", i.PostForm(t, "/oauth/revoke", demo.RegularWeb, "token", tokens.RefreshToken))
			i = restart(i)
			dead(t, i, "after a restart", demo.RegularWeb, tokens)

			tokens, _ = i.TokensFor(t, demo.Reader, demo.RegularWeb, "scope", offlineShows)
			revoked(t, "access token", i.PostForm(t, "/oauth/revoke", demo.RegularWeb, "token", tokens.AccessToken, "token_type_hint", hint))
			access := tokens
			access.RefreshToken = ""
			dead(t, i, "after the revocation of the access token", demo.RegularWeb, access)
			i = restart(i)
			dead(t, i, "after a restart", demo.RegularWeb, access)
			if got := i.Refresh(t, demo.RegularWeb, tokens.RefreshToken); got.Status != 200 {
				t.Errorf("its refresh token went along: %s", got.Raw)
			}
		}
		// A client's own token, too.
		machine := i.PostForm(t, "/oauth/token", demo.Machine, "grant_type", "client_credentials")
		revoked(t, "client's token", i.PostForm(t, "/oauth/revoke", demo.Machine, "token", machine.AccessToken))
		if got := i.Introspect(t, demo.Machine, machine.AccessToken); got["active"] != false {
			t.Errorf("a client's revoked token: %v", got)
		}
	})
}

// An old generation names its family as well as the current one.
func TestRevokeByAnOldRefreshToken(t *testing.T) {
	i := house(t)
	first, _ := i.TokensFor(t, demo.Reader, demo.SPA, "scope", offlineShows)
	current := i.Refresh(t, demo.SPA, first.RefreshToken)
	revoked(t, "an old one", i.PostForm(t, "/oauth/revoke", demo.SPA, "token", first.RefreshToken))
	dead(t, i, "the current one", demo.SPA, current)
}

func TestThreat_TK12_RevocationOfWhatIsNotTheCallers(t *testing.T) {
	i := house(t)
	tokens, _ := i.TokensFor(t, demo.Reader, demo.SPA, "scope", offlineShows)
	machine := i.PostForm(t, "/oauth/token", demo.Machine, "grant_type", "client_credentials")
	for name, c := range map[string]struct{ client, token string }{
		"unknown":                   {demo.SPA, "unknown"},
		"a JWT of nobody":           {demo.SPA, "eyJhbGciOiJub25lIn0.e30."},
		"an ID token":               {demo.SPA, tokens.IDToken},
		"foreign refresh token":     {demo.Native, tokens.RefreshToken},
		"foreign access token":      {demo.Native, tokens.AccessToken},
		"foreign, by a machine":     {demo.Machine, tokens.AccessToken},
		"refresh token, by machine": {demo.Machine, tokens.RefreshToken},
		"a machine's, by a client":  {demo.RegularWeb, machine.AccessToken},
	} {
		revoked(t, name, i.PostForm(t, "/oauth/revoke", c.client, "token", c.token))
	}
	for token, owner := range map[string]string{tokens.AccessToken: demo.SPA, machine.AccessToken: demo.Machine} {
		if got := i.Introspect(t, demo.Machine, token); got["active"] != true {
			t.Errorf("the token of %s was touched: %v", owner, got)
		}
	}
	if got := i.Refresh(t, demo.SPA, tokens.RefreshToken); got.Status != 200 {
		t.Errorf("the refresh token was touched: %s", got.Raw)
	}
	expectTokenError(t, "nobody asks", post(t, i, "/oauth/revoke", "token="+tokens.RefreshToken), "invalid_client")
	expectTokenError(t, "a wrong secret", post(t, i, "/oauth/revoke", url.Values{"token": {machine.AccessToken}, "client_id": {i.Content.Client(demo.Machine).ClientID}, "client_secret": {"x"}}.Encode()), "invalid_client")
	expectTokenError(t, "no token", i.PostForm(t, "/oauth/revoke", demo.SPA), "invalid_request")
}

// Where the revocation can not be written, nobody is told that it was. Nor is a code or a refresh
// token that met the same fate called used.
func TestThreat_TK12_StorageErrorsAreNeverSuccess(t *testing.T) {
	onBoth(t, func(t *testing.T, i *servertest.Instance, _ func(*servertest.Instance) *servertest.Instance) {
		b := i.NewBrowser(t)
		b.SignIn(demo.Reader, i.Password(t, demo.Reader))
		tokens := i.TokensIn(t, b, demo.SPA, "scope", offlineShows)
		code := b.Authorize(demo.SPA, "scope", offlineShows).Answer(t)
		heal := wound(t, i)
		for name, got := range map[string]servertest.Tokens{
			"revocation of a refresh token":  i.PostForm(t, "/oauth/revoke", demo.SPA, "token", tokens.RefreshToken),
			"revocation of an access token":  i.PostForm(t, "/oauth/revoke", demo.SPA, "token", tokens.AccessToken),
			"a refresh":                      i.Refresh(t, demo.SPA, tokens.RefreshToken),
			"a redemption":                   i.Redeem(t, demo.SPA, code),
			"a redemption that will be back": i.Redeem(t, demo.SPA, code),
		} {
			want, wantError := http.StatusServiceUnavailable, "temporarily_unavailable"
			if i.House.DB.Dialect() == db.SQLite { // there the tables are gone, which is no passing trouble
				want, wantError = http.StatusInternalServerError, "server_error"
			}
			if got.Status != want || got.Error != wantError || (got.Header.Get("Retry-After") != "") != (want == 503) {
				t.Errorf("%s: %d %s, Retry-After %q", name, got.Status, got.Raw, got.Header.Get("Retry-After"))
			}
		}
		heal()
		if got := i.Redeem(t, demo.SPA, code); got.Status != 200 {
			t.Errorf("the code was lost: %s", got.Raw)
		}
		if got := i.Refresh(t, demo.SPA, tokens.RefreshToken); got.Status != 200 {
			t.Errorf("the refresh token was lost: %s", got.Raw)
		}
	})
}

// wound makes every write of grants fail, on PostgreSQL as a full disk does.
func wound(t testing.TB, i *servertest.Instance) (heal func()) {
	t.Helper()
	run := func(statements ...string) {
		t.Helper()
		must(t, i.House.DB.System().Write(context.Background(), func(tx *db.Tx) error {
			var failed error
			for _, sql := range statements {
				_, err := tx.Exec(sql)
				failed = errors.Join(failed, err)
			}
			return failed
		}))
	}
	tables := []string{"grants", "revocations"}
	var hurt, mend []string
	if i.House.DB.Dialect() == db.SQLite {
		for _, table := range tables {
			hurt = append(hurt, `ALTER TABLE `+table+` RENAME TO `+table+`_away`)
			mend = append(mend, `ALTER TABLE `+table+`_away RENAME TO `+table)
		}
	} else {
		hurt = append(hurt, `CREATE FUNCTION wound() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION SQLSTATE ''53100''; END'`)
		for _, table := range tables {
			hurt = append(hurt, `CREATE TRIGGER wound BEFORE INSERT OR UPDATE ON `+table+` FOR EACH ROW EXECUTE FUNCTION wound()`)
			mend = append(mend, `DROP TRIGGER wound ON `+table)
		}
		mend = append(mend, `DROP FUNCTION wound()`)
	}
	run(hurt...)
	return func() { run(mend...) }
}

func TestRevocationsAreRecorded(t *testing.T) {
	i := house(t)
	tokens, _ := i.TokensFor(t, demo.Reader, demo.SPA, "scope", offlineShows)
	for range 2 {
		i.PostForm(t, "/oauth/revoke", demo.SPA, "token", tokens.AccessToken)
	}
	for range 2 {
		i.PostForm(t, "/oauth/revoke", demo.SPA, "token", tokens.RefreshToken)
	}
	events, err := audit.List(context.Background(), i.House.Tenant, audit.Query{UserID: i.UserID(t, demo.Reader)})
	must(t, err)
	count := map[audit.Type]int{}
	for _, e := range events {
		count[e.Type]++
	}
	if count[audit.AccessTokenRevoked] != 1 || count[audit.RefreshTokenRevoked] != 1 {
		t.Errorf("events %v", count)
	}
}
