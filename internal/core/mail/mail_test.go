package mail_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/base/clock"
	"github.com/gatehouse-dev/gatehouse/internal/base/db"
	"github.com/gatehouse-dev/gatehouse/internal/base/db/dbtest"
	"github.com/gatehouse-dev/gatehouse/internal/base/fault"
	"github.com/gatehouse-dev/gatehouse/internal/base/seal"
	"github.com/gatehouse-dev/gatehouse/internal/core/mail"
	"github.com/gatehouse-dev/gatehouse/internal/core/schema"
	"github.com/gatehouse-dev/gatehouse/internal/core/tenant"
)

var noon = time.Date(2026, 11, 5, 12, 0, 0, 0, time.UTC)

// postman is a Sender that remembers, and fails as long as it is told to.
type postman struct {
	mu   sync.Mutex
	sent []mail.Message
	fail error
}

func (p *postman) Send(_ context.Context, m mail.Message) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fail != nil {
		return p.fail
	}
	p.sent = append(p.sent, m)
	return nil
}

func (p *postman) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.sent)
}

type refusal struct{}

func (refusal) Error() string   { return "no such mailbox" }
func (refusal) Permanent() bool { return true }

func keyring(t *testing.T) *seal.Keyring {
	t.Helper()
	k, err := seal.New([]seal.MasterKey{seal.NewMasterKey([32]byte{1})})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func newTenant(t *testing.T, d *db.DB, id string) *tenant.Tenant {
	t.Helper()
	tn, err := tenant.Ensure(context.Background(), d, id, "https://"+id+".example.com/", tenant.Settings{Name: "TV Shows"}, noon)
	if err != nil {
		t.Fatal(err)
	}
	return tn
}

func enqueue(t *testing.T, o *mail.Outbox, tn *tenant.Tenant, m mail.Message) {
	t.Helper()
	if err := tn.DB.Write(context.Background(), func(tx *db.Tx) error { return o.Enqueue(tx, m) }); err != nil {
		t.Fatal(err)
	}
}

func deliver(t *testing.T, o *mail.Outbox, want int) {
	t.Helper()
	if n, err := o.Deliver(context.Background()); err != nil || n != want {
		t.Fatalf("Deliver = %d, %v; want %d", n, err, want)
	}
}

func TestLetterIsDeliveredOnceAndItsBodyForgotten(t *testing.T) {
	dbtest.Each(t, schema.Files, func(t *testing.T, d *db.DB) {
		tn, to, now := newTenant(t, d, "one"), &postman{}, clock.NewVirtual(noon)
		o := mail.New(mail.Options{DB: d, Seal: keyring(t), Clock: now, Sender: to})
		undone := errors.New("undone")
		err := tn.DB.Write(context.Background(), func(tx *db.Tx) error {
			return errors.Join(o.Enqueue(tx, mail.Message{To: "a@example.com", Subject: "never", Text: "never"}), undone)
		})
		if !errors.Is(err, undone) {
			t.Fatal(err)
		}
		deliver(t, o, 0)
		letter := mail.Message{To: "a@example.com", Subject: "Hello", Text: "code 123456", HTML: "<p>123456</p>"}
		enqueue(t, o, tn, letter)
		if raw := storedBody(t, tn); bytes.Contains(raw, []byte("123456")) || len(raw) == 0 {
			t.Errorf("the body is stored as %q", raw)
		}
		deliver(t, o, 1)
		deliver(t, o, 0)
		if !slices.Equal(to.sent, []mail.Message{letter}) {
			t.Errorf("sent %v", to.sent)
		}
		if raw := storedBody(t, tn); len(raw) != 0 {
			t.Error("the body is still stored after delivery")
		}
		now.Advance(31 * 24 * time.Hour)
		if n, err := o.Sweep(context.Background()); err != nil || n != 1 {
			t.Errorf("Sweep = %d, %v", n, err)
		}
	})
}

func storedBody(t *testing.T, tn *tenant.Tenant) []byte {
	t.Helper()
	var raw []byte
	if err := tn.DB.QueryRow(context.Background(), `SELECT body_sealed FROM mails WHERE tenant_id = $1`).Scan(&raw); err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestFailedLetterIsTriedAgainAndGivenUp(t *testing.T) {
	dbtest.Each(t, schema.Files, func(t *testing.T, d *db.DB) {
		tn, to, now := newTenant(t, d, "one"), &postman{fail: errors.New("away")}, clock.NewVirtual(noon)
		o := mail.New(mail.Options{DB: d, Seal: keyring(t), Clock: now, Sender: to})
		enqueue(t, o, tn, mail.Message{To: "a@example.com", Text: "x"})
		deliver(t, o, 1)
		deliver(t, o, 0) // not due yet
		now.Advance(10 * time.Second)
		deliver(t, o, 1)
		for range 5 {
			now.Advance(6 * time.Hour)
			deliver(t, o, 1)
		}
		now.Advance(24 * time.Hour)
		deliver(t, o, 0)

		to.fail = refusal{}
		enqueue(t, o, tn, mail.Message{To: "nobody@example.com", Text: "x"})
		deliver(t, o, 1)
		now.Advance(24 * time.Hour)
		deliver(t, o, 0)
		if to.count() != 0 {
			t.Errorf("sent %v", to.sent)
		}
	})
}

func TestTwoNodesNeverSendALetterTwice(t *testing.T) {
	dbtest.Two(t, schema.Files, func(t *testing.T, a, b *db.DB) {
		tn, to, now := newTenant(t, a, "one"), &postman{}, clock.NewVirtual(noon)
		nodes := []*mail.Outbox{
			mail.New(mail.Options{DB: a, Seal: keyring(t), Clock: now, Sender: to}),
			mail.New(mail.Options{DB: b, Seal: keyring(t), Clock: now, Sender: to}),
		}
		const letters = 50
		for i := range letters {
			enqueue(t, nodes[0], tn, mail.Message{To: "a@example.com", Text: fmt.Sprint(i)})
		}
		var wg sync.WaitGroup
		for i := range 64 {
			wg.Go(func() {
				if _, err := nodes[i%2].Deliver(context.Background()); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		for {
			n, err := nodes[0].Deliver(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			if n == 0 {
				break
			}
		}
		seen := map[string]int{}
		for _, m := range to.sent {
			seen[m.Text]++
		}
		if len(to.sent) != letters || len(seen) != letters {
			t.Errorf("sent %d letters, %d different; want %d", len(to.sent), len(seen), letters)
		}
	})
}

// A node that hangs while it sends keeps a letter from the others until its lease is over, and
// changes nothing when it comes back.
func TestLetterOfAHangingNodeIsSent(t *testing.T) {
	dbtest.Each(t, schema.Files, func(t *testing.T, d *db.DB) {
		tn, now, to := newTenant(t, d, "one"), clock.NewVirtual(noon), &postman{}
		stuck := hanging{make(chan struct{}), make(chan struct{})}
		slow := mail.New(mail.Options{DB: d, Seal: keyring(t), Clock: now, Sender: stuck})
		quick := mail.New(mail.Options{DB: d, Seal: keyring(t), Clock: now, Sender: to})
		enqueue(t, slow, tn, mail.Message{To: "a@example.com", Text: "x"})
		done := make(chan error)
		go func() {
			_, err := slow.Deliver(context.Background())
			done <- err
		}()
		<-stuck.began
		deliver(t, quick, 0)
		now.Advance(2 * time.Minute)
		to.fail = errors.New("away")
		deliver(t, quick, 1)
		close(stuck.release)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		to.fail = nil
		now.Advance(time.Minute)
		deliver(t, quick, 1)
		if to.count() != 1 {
			t.Errorf("sent %d letters; want 1", to.count())
		}
	})
}

type hanging struct{ began, release chan struct{} }

func (h hanging) Send(context.Context, mail.Message) error {
	close(h.began)
	<-h.release
	return nil
}

func TestInboxShowsWhatWasKept(t *testing.T) {
	dbtest.Each(t, schema.Files, func(t *testing.T, d *db.DB) {
		one, two := newTenant(t, d, "one"), newTenant(t, d, "two")
		o := mail.New(mail.Options{DB: d, Seal: keyring(t), Clock: clock.NewVirtual(noon), Sender: &postman{}, KeepBodies: true})
		enqueue(t, o, one, mail.Message{To: "a@example.com", Subject: "first", Text: "1", HTML: "<b>1</b>"})
		enqueue(t, o, one, mail.Message{To: "b@example.com", Subject: "second", Text: "2"})
		enqueue(t, o, two, mail.Message{To: "a@example.com", Subject: "elsewhere", Text: "3"})
		if err := one.DB.Write(context.Background(), func(tx *db.Tx) error {
			return o.Withhold(tx, mail.Message{To: "unknown@example.com", Subject: "never", Text: "4"})
		}); err != nil {
			t.Fatal(err)
		}
		deliver(t, o, 3)
		all, err := o.Inbox().List(context.Background(), one, "")
		if err != nil || len(all) != 2 || all[0].Subject != "second" || all[1].HTML != "<b>1</b>" {
			t.Errorf("List = %+v, %v", all, err)
		}
		mine, err := o.Inbox().List(context.Background(), one, "a@example.com")
		if err != nil || len(mine) != 1 || mine[0].Text != "1" {
			t.Errorf("List of a = %+v, %v", mine, err)
		}
		if e, err := o.Inbox().Get(context.Background(), one, mine[0].ID); err != nil || e.Subject != "first" || !e.At.Equal(noon) {
			t.Errorf("Get = %+v, %v", e, err)
		}
		if _, err := o.Inbox().Get(context.Background(), two, mine[0].ID); !fault.Is(err, fault.NotFound) {
			t.Errorf("Get by another tenant = %v", err)
		}
	})
}

func TestRunDeliversWhatIsWritten(t *testing.T) {
	d := dbtest.SQLite(t, schema.Files)
	tn, arrived := newTenant(t, d, "one"), make(chan string, 1)
	o := mail.New(mail.Options{DB: d, Seal: keyring(t), Clock: clock.NewVirtual(noon), Sender: doorbell(arrived)})
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- o.Run(ctx) }()
	enqueue(t, o, tn, mail.Message{To: "a@example.com", Text: "ding"})
	if got := <-arrived; got != "ding" {
		t.Errorf("arrived: %q", got)
	}
	stop()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("Run = %v", err)
	}
}

type doorbell chan string

func (b doorbell) Send(_ context.Context, m mail.Message) error {
	b <- m.Text
	return nil
}

func TestLetters(t *testing.T) {
	tn := &tenant.Tenant{Issuer: "https://login.example.com/", Settings: tenant.Settings{Name: "<b>Shows & Co</b>"}}
	for name, compose := range map[string]func() (mail.Message, error){
		"sign-up code": func() (mail.Message, error) {
			return mail.SignUpCode(tn, "a@example.com", "123456", 10*time.Minute)
		},
		"address taken": func() (mail.Message, error) { return mail.AddressTaken(tn, "a@example.com") },
		"reset code": func() (mail.Message, error) {
			return mail.PasswordResetCode(tn, "a@example.com", "123456", 10*time.Minute)
		},
		"password changed": func() (mail.Message, error) { return mail.PasswordChanged(tn, "a@example.com", noon) },
		"password link": func() (mail.Message, error) {
			return mail.PasswordLink(tn, "a@example.com", "https://login.example.com/u/link?t=a&b=1", 7*24*time.Hour)
		},
	} {
		t.Run(name, func(t *testing.T) {
			m, err := compose()
			if err != nil {
				t.Fatal(err)
			}
			if m.To != "a@example.com" || m.Subject == "" || strings.Contains(m.Subject, "123456") {
				t.Errorf("to %q, subject %q", m.To, m.Subject)
			}
			if !strings.Contains(m.Text, "https://login.example.com/") || strings.Contains(m.Text, "&amp;") {
				t.Errorf("text:\n%s", m.Text)
			}
			if strings.Contains(m.HTML, "<b>") || !strings.Contains(m.HTML, "&lt;b&gt;Shows &amp; Co") {
				t.Errorf("the name is not escaped:\n%s", m.HTML)
			}
			for _, want := range map[string][]string{
				"sign-up code":  {"123456", "10 minutes"},
				"reset code":    {"123456", "10 minutes"},
				"password link": {"/u/link?t=a", "7 days"},
			}[name] {
				if !strings.Contains(m.Text, want) || !strings.Contains(m.HTML, want) {
					t.Errorf("%q is missing in\n%s\nor\n%s", want, m.Text, m.HTML)
				}
			}
		})
	}
}
