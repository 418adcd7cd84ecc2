package mail_test

import (
	"context"
	"errors"
	"testing"

	"github.com/gatehouse-dev/gatehouse/internal/base/clock"
	"github.com/gatehouse-dev/gatehouse/internal/base/db"
	"github.com/gatehouse-dev/gatehouse/internal/base/db/dbtest"
	"github.com/gatehouse-dev/gatehouse/internal/base/seal"
	"github.com/gatehouse-dev/gatehouse/internal/core/mail"
	"github.com/gatehouse-dev/gatehouse/internal/core/schema"
)

func TestReseal(t *testing.T) {
	dbtest.Each(t, schema.Files, func(t *testing.T, d *db.DB) {
		older, newer := seal.NewMasterKey([32]byte{1}), seal.NewMasterKey([32]byte{2})
		with := func(keys ...seal.MasterKey) *mail.Outbox {
			k, err := seal.New(keys)
			if err != nil {
				t.Fatal(err)
			}
			return mail.New(mail.Options{DB: d, Seal: k, Clock: clock.NewVirtual(noon)})
		}
		one, two := newTenant(t, d, "one"), newTenant(t, d, "two")
		for i := range 450 { // more than two pages
			tn := one
			if i%3 == 0 {
				tn = two
			}
			enqueue(t, with(older), tn, mail.Message{To: "a@example.com", Text: "before"})
		}
		enqueue(t, with(newer, older), one, mail.Message{To: "a@example.com", Text: "after"})
		if _, err := with(newer).Reseal(context.Background()); !errors.Is(err, seal.ErrUnknownKey) {
			t.Errorf("Reseal without the older key = %v", err)
		}
		if n, err := with(newer, older).Reseal(context.Background()); err != nil || n != 450 {
			t.Errorf("Reseal = %d, %v; want 450", n, err)
		}
		if n, err := with(newer, older).Reseal(context.Background()); err != nil || n != 0 {
			t.Errorf("second Reseal = %d, %v", n, err)
		}
		if all, err := with(newer).Inbox().List(context.Background(), one, ""); err != nil || len(all) != 100 || all[99].Text != "before" || all[0].Text != "after" {
			t.Errorf("the new key alone reads %d letters, %v", len(all), err)
		}
	})
}
