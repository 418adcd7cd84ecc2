package grants_test

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/base/db"
	"github.com/gatehouse-dev/gatehouse/internal/base/id"
	"github.com/gatehouse-dev/gatehouse/internal/core/audit"
	"github.com/gatehouse-dev/gatehouse/internal/core/grants"
	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
)

// device lets a device ask.
func (n node) device(t *testing.T) (codes grants.DeviceCodes) {
	t.Helper()
	n.write(t, func(tx *db.Tx) (err error) {
		codes, err = n.RequestDevice(tx, grants.DeviceRequest{
			Terms:         grants.Terms{ClientID: native.ClientID, Scope: oauth.Scope{"openid", "offline_access", "read:shows"}, Audience: api},
			CodeChallenge: "c", Network: "198.51.100.7/32",
		})
		return err
	})
	return codes
}

func (n node) shown(t *testing.T, codes grants.DeviceCodes) *grants.DeviceRequest {
	t.Helper()
	d, err := n.DeviceByUserCode(bg, n.tn, codes.UserCode)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func (n node) approve(d *grants.DeviceRequest, userID, sid string) error {
	return n.ApproveDevice(bg, n.tn, d, userID, terms(native, userID, sid).Auth, true, audit.Origin{Actor: userID})
}

func (n node) deny(d *grants.DeviceRequest, userID string) error {
	return n.DenyDevice(bg, n.tn, d, userID, audit.Origin{Actor: userID})
}

// ask is one question of the device.
func (n node) ask(codes grants.DeviceCodes) (*grants.RedeemedDevice, error) {
	return n.askAs(native.ClientID, codes.DeviceCode, nil)
}

func (n node) askAs(clientID, deviceCode string, wrong error) (*grants.RedeemedDevice, error) {
	return n.RedeemDevice(bg, n.tn, grants.DeviceRedemption{
		DeviceCode: deviceCode, ClientID: clientID,
		Check:  func(grants.DeviceRequest) error { return wrong },
		Family: func(grants.DeviceRequest) *grants.NewFamily { return &grants.NewFamily{Policy: native.Refresh(n.tn)} },
	})
}

func wantErr(t *testing.T, what string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("%s: %v; want %v", what, got, want)
	}
}

// Neither code is in the database, nor can the short one be found by trying all of them on what is.
func TestThreat_DV01_CodesAreStoredHashed(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		codes := w.device(t)
		if n := w.count(t, `SELECT COUNT(*) FROM device_requests WHERE tenant_id = $1 AND device_hash = $2`, id.Hash(codes.DeviceCode)); n != 1 || len(codes.DeviceCode) < 43 {
			t.Errorf("%d requests by their hash; the code has %d characters", n, len(codes.DeviceCode))
		}
		var mac []byte
		if err := w.tn.DB.QueryRow(bg, `SELECT user_code_mac FROM device_requests WHERE tenant_id = $1`).Scan(&mac); err != nil {
			t.Fatal(err)
		}
		for _, spelled := range []string{codes.UserCode, oauth.ShowUserCode(codes.UserCode), w.tn.ID + "\x00" + codes.UserCode} {
			if string(mac) == spelled || string(mac) == string(id.Hash(spelled)) {
				t.Errorf("what is stored can be made from %q without a key", spelled)
			}
		}
		// Another master key finds what was stored under the one before.
		w.keys = ring(t, 2, 1)
		if d := w.start(t, w.a).shown(t, codes); d.ClientID != native.ClientID {
			t.Errorf("found %+v", d)
		}
		_, err := w.DeviceByUserCode(bg, w.tn, "BBBBBBBB")
		wantErr(t, "an unknown code", err, grants.ErrUserCode)
	})
}

func TestThreat_DV03_WhatADeviceIsTold(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		sid := w.signIn(t, "ada")
		codes := w.device(t)
		question := func(what string, after time.Duration, want error) {
			t.Helper()
			w.now.Advance(after)
			_, err := w.ask(codes)
			wantErr(t, what, err, want)
		}
		question("the first question", 0, grants.ErrDevicePending)
		question("in time", 5*time.Second, grants.ErrDevicePending)
		question("too early", time.Second, grants.ErrSlowDown)
		question("by the old interval", 5*time.Second, grants.ErrSlowDown)
		question("by the new interval", 15*time.Second, grants.ErrDevicePending)
		question("and still that one", 10*time.Second, grants.ErrSlowDown)
		_, err := w.askAs(spa.ClientID, codes.DeviceCode, nil)
		wantErr(t, "another client", err, grants.ErrInvalidDeviceCode)
		_, err = w.askAs(native.ClientID, codes.UserCode, nil)
		wantErr(t, "the user code", err, grants.ErrInvalidDeviceCode)

		if err := w.approve(w.shown(t, codes), "ada", sid); err != nil {
			t.Fatal(err)
		}
		_, err = w.askAs(spa.ClientID, codes.DeviceCode, nil)
		wantErr(t, "another client after the approval", err, grants.ErrInvalidDeviceCode)
		got, err := w.ask(codes) // however early
		if err != nil {
			t.Fatal(err)
		}
		if got.UserID != "ada" || got.GID == "" || got.RefreshToken == "" || got.Auth.SID != "" || !got.Auth.Time.Equal(noon.Add(-time.Minute)) || got.Auth.AMR[0] != "pwd" {
			t.Errorf("granted %+v", got)
		}
		question("the second time", time.Minute, grants.ErrInvalidDeviceCode)
		if w.events(t, "ada", audit.DeviceApproved) != 1 {
			t.Error("the approval is not recorded")
		}

		codes = w.device(t)
		if err := w.deny(w.shown(t, codes), "ada"); err != nil {
			t.Fatal(err)
		}
		question("denied", 0, grants.ErrDeviceDenied)
		wantErr(t, "approved after it was denied", w.approve(w.shown(t, codes), "ada", sid), grants.ErrDeviceDecided)
		question("still denied", time.Minute, grants.ErrDeviceDenied)

		codes = w.device(t)
		w.now.Advance(grants.DeviceCodeLifetime)
		late := w.shown(t, codes)
		wantErr(t, "late", late.Undecided(w.now.Now()), grants.ErrDeviceExpired)
		wantErr(t, "approved late", w.approve(late, "ada", sid), grants.ErrDeviceDecided)
		wantErr(t, "denied late", w.deny(late, "ada"), grants.ErrDeviceDecided)
		question("expired", 0, grants.ErrDeviceExpired)

		codes = w.device(t)
		if err := w.approve(w.shown(t, codes), "ada", sid); err != nil {
			t.Fatal(err)
		}
		question("approved, and fetched too late", grants.DeviceCodeLifetime, grants.ErrDeviceExpired)

		w.now.Advance(2 * time.Hour)
		if err := w.Sweep(bg, w.a); err != nil {
			t.Fatal(err)
		}
		if n := w.count(t, `SELECT COUNT(*) FROM device_requests WHERE tenant_id = $1`); n != 0 {
			t.Errorf("%d rows were left", n)
		}
	})
}

// What a person says on the page counts as a whole or not at all.
func TestThreat_DV03_NoConsentWithoutAnApproval(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		consented := func() string {
			scope, err := w.Consented(bg, w.tn, "ada", native.ClientID, api)
			if err != nil {
				t.Fatal(err)
			}
			return scope.String()
		}
		sid, codes := w.signIn(t, "ada"), w.device(t)
		late := w.shown(t, w.device(t))
		wantErr(t, "in a session that has ended", w.approve(w.shown(t, codes), "ada", "ended"), grants.ErrSessionEnded)
		if err := w.deny(late, "ada"); err != nil {
			t.Fatal(err)
		}
		wantErr(t, "after it was denied", w.approve(late, "ada", sid), grants.ErrDeviceDecided)
		if got := consented(); got != "" {
			t.Errorf("allowed %q", got)
		}
		if err := w.approve(w.shown(t, codes), "ada", sid); err != nil {
			t.Fatal(err)
		}
		if got := consented(); got != "offline_access openid read:shows" && got != "openid offline_access read:shows" {
			t.Errorf("allowed %q", got)
		}
	})
}

// Whoever asks without a pause is told to slow down, and gives the database nothing to write.
func TestThreat_DV03_QuestionsOfOneMomentWriteNothing(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		codes := w.device(t)
		_, err := w.ask(codes)
		wantErr(t, "the first question", err, grants.ErrDevicePending)
		w.now.Advance(999 * time.Millisecond)
		for range 100 {
			_, err := w.ask(codes)
			wantErr(t, "in the same moment", err, grants.ErrSlowDown)
		}
		w.now.Advance(4 * time.Second)
		_, err = w.ask(codes)
		wantErr(t, "the next in time", err, grants.ErrDevicePending)
		_, err = w.askAs(native.ClientID, codes.DeviceCode, grants.ErrInvalidCode)
		wantErr(t, "without what binds it", err, grants.ErrInvalidCode)
		_, err = w.ask(codes)
		wantErr(t, "after that", err, grants.ErrInvalidDeviceCode)
	})
}

// Whoever holds the code without what binds it ends it.
func TestThreat_DV04_AFailedCheckBurnsTheCode(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		wrong := errors.New("wrong verifier")
		codes := w.device(t)
		_, err := w.askAs(native.ClientID, codes.DeviceCode, wrong)
		wantErr(t, "the thief", err, wrong)
		wantErr(t, "a person after that", w.approve(w.shown(t, codes), "ada", w.signIn(t, "ada")), grants.ErrDeviceDecided)
		_, err = w.ask(codes)
		wantErr(t, "the device after that", err, grants.ErrInvalidDeviceCode)
	})
}

func TestThreat_DV03_WhatEndsAnApproval(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		for name, c := range map[string]struct {
			end  func(user, sid string) error
			want error
		}{
			"nothing":    {func(string, string) error { return nil }, nil},
			"a sign-out": {func(_, sid string) error { return w.signOut(sid) }, nil}, // devices outlive the browser
			"the user ends": {func(user, _ string) error {
				return w.tn.DB.Write(bg, func(tx *db.Tx) error { return w.EndUser(tx, user, "blocked") })
			}, grants.ErrDeviceDenied},
			"the client ends": {func(string, string) error {
				return w.tn.DB.Write(bg, func(tx *db.Tx) error { return w.EndClient(tx, native.ClientID, "disabled") })
			}, grants.ErrDeviceDenied},
			"the consent ends": {func(user, _ string) error {
				return w.tn.DB.Write(bg, func(tx *db.Tx) error { return w.WithdrawConsent(tx, user, native.ClientID) })
			}, grants.ErrDeviceDenied},
		} {
			user := "user of " + name
			sid := w.signIn(t, user)
			before, after := w.device(t), w.device(t)
			for _, codes := range []grants.DeviceCodes{before, after} {
				if err := w.approve(w.shown(t, codes), user, sid); err != nil {
					t.Fatal(err)
				}
			}
			has, err := w.ask(before)
			if err != nil {
				t.Fatal(err)
			}
			if err := c.end(user, sid); err != nil {
				t.Fatal(err)
			}
			_, err = w.ask(after)
			wantErr(t, name, err, c.want)
			if dead := w.revoked(t, sid, has.GID, ""); name != "a sign-out" && dead != (c.want != nil) {
				t.Errorf("%s: access tokens of the device that was let in: dead %v", name, dead)
			}
			if _, err := w.refresh(native, has.RefreshToken); (err != nil) != (c.want != nil) {
				t.Errorf("%s: its refresh token: %v", name, err)
			}
		}
		// One that nobody has decided about ends with its client alone, and is approved by no ended session.
		codes, sid := w.device(t), w.signIn(t, "ada")
		if err := w.signOut(sid); err != nil {
			t.Fatal(err)
		}
		wantErr(t, "an ended session", w.approve(w.shown(t, codes), "ada", sid), grants.ErrSessionEnded)
		wantErr(t, "a session of somebody else", w.approve(w.shown(t, codes), "ada", w.signIn(t, "eve")), grants.ErrSessionEnded)
		w.write(t, func(tx *db.Tx) error { return w.EndClient(tx, native.ClientID, "disabled") })
		_, err := w.ask(codes)
		wantErr(t, "pending, and the client ends", err, grants.ErrDeviceDenied)
	})
}

// Access tokens of a device without a refresh token die with its user, too.
func TestThreat_DV03_TokensWithoutAFamilyEnd(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		codes := w.device(t)
		if err := w.approve(w.shown(t, codes), "ada", w.signIn(t, "ada")); err != nil {
			t.Fatal(err)
		}
		has, err := w.RedeemDevice(bg, w.tn, grants.DeviceRedemption{
			DeviceCode: codes.DeviceCode, ClientID: native.ClientID,
			Check:  func(grants.DeviceRequest) error { return nil },
			Family: func(grants.DeviceRequest) *grants.NewFamily { return nil },
		})
		if err != nil || has.RefreshToken != "" {
			t.Fatalf("%+v, %v", has, err)
		}
		w.write(t, func(tx *db.Tx) error { return w.EndUser(tx, "ada", "blocked") })
		if !w.revoked(t, "", has.GID, "") {
			t.Error("the access token lives on")
		}
	})
}

// Two people, two tabs, two nodes: one decision; and one answer with tokens.
func TestThreat_DV03_OneDecisionAndOneAnswer(t *testing.T) {
	two(t, func(t *testing.T, w *world) {
		at := func(i int) node {
			if i%2 == 1 {
				return w.other
			}
			return w.node
		}
		for _, n := range []int{2, 8, callers} {
			for round := range rounds() {
				codes := w.device(t)
				shown := w.shown(t, codes)
				ada, eve := fmt.Sprintf("ada-%d-%d", n, round), fmt.Sprintf("eve-%d-%d", n, round)
				sids := map[string]string{ada: w.signIn(t, ada), eve: w.signIn(t, eve)}
				var approved, denied atomic.Int32
				var who atomic.Value
				race(n, func(i int) {
					user, what, count := ada, at(i).approve, &approved
					switch i % 3 {
					case 1:
						user = eve
					case 2:
						what, count = func(d *grants.DeviceRequest, user, _ string) error { return at(i).deny(d, user) }, &denied
					}
					switch err := what(shown, user, sids[user]); {
					case err == nil:
						count.Add(1)
						who.Store(user)
					case !errors.Is(err, grants.ErrDeviceDecided):
						t.Errorf("a loser got %v", err)
					}
				})
				if approved.Load()+denied.Load() != 1 {
					t.Fatalf("%d approved, %d denied; want one decision of %d", approved.Load(), denied.Load(), n)
				}
				var answers atomic.Int32
				race(n, func(i int) {
					got, err := at(i).ask(codes)
					switch {
					case err == nil:
						answers.Add(1)
						if got.UserID != who.Load() {
							t.Errorf("tokens for %s, approved by %s", got.UserID, who.Load())
						}
					case !errors.Is(err, grants.ErrInvalidDeviceCode) && !errors.Is(err, grants.ErrDeviceDenied):
						t.Errorf("a loser got %v", err)
					}
				})
				if answers.Load() != approved.Load() {
					t.Fatalf("%d answers with tokens for %d approvals", answers.Load(), approved.Load())
				}
				if families := w.count(t, `SELECT COUNT(*) FROM grants WHERE tenant_id = $1 AND user_id IN ($2, $3)`, ada, eve); families != int(approved.Load()) {
					t.Fatalf("%d families for %d approvals", families, approved.Load())
				}
			}
		}
	})
}
