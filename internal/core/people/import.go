package people

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/google/uuid"

	"github.com/gatehouse-dev/gatehouse/internal/base/db"
	"github.com/gatehouse-dev/gatehouse/internal/base/fault"
	"github.com/gatehouse-dev/gatehouse/internal/core/audit"
	"github.com/gatehouse-dev/gatehouse/internal/core/tenant"
)

// importConnection links an imported user to the id they had elsewhere, when that is no UUID.
const importConnection = "import"

const (
	importBatch   = 64        // users in one transaction
	maxImportUser = 256 << 10 // bytes of one user
)

// imported is a user in the field names of Auth0's bulk import. A field that is not here is an
// error: what would be dropped in silence, somebody would miss.
type imported struct {
	UserID        string          `json:"user_id"`
	Email         string          `json:"email"`
	EmailVerified bool            `json:"email_verified"`
	Name          string          `json:"name"`
	GivenName     string          `json:"given_name"`
	FamilyName    string          `json:"family_name"`
	Nickname      string          `json:"nickname"`
	Picture       string          `json:"picture"`
	Blocked       bool            `json:"blocked"`
	UserMetadata  json.RawMessage `json:"user_metadata"`
	AppMetadata   json.RawMessage `json:"app_metadata"`
	PasswordHash  string          `json:"password_hash"`
	CustomHash    *struct {
		Algorithm string `json:"algorithm"`
		Hash      struct {
			Value string `json:"value"`
		} `json:"hash"`
	} `json:"custom_password_hash"`
}

// ImportReport is what came of an import.
type ImportReport struct {
	Created  int
	Failures []ImportFailure // in the order of the file
}

// ImportFailure is a user that was not imported. Line counts lines in a file of lines and users in
// an array, from 1.
type ImportFailure struct {
	Line  int
	Email string
	Err   error
}

// Error implements error.
func (f ImportFailure) Error() string { return fmt.Sprintf("%d: %s: %v", f.Line, f.Email, f.Err) }

// Import creates users from r: a JSON array of users, or one user in JSON on each line. Password
// hashes may be bcrypt or Argon2id (PHC string), within the bounds of [CheckHash]; they are
// replaced by better ones as their owners sign in. Each user is imported whole or not at all, and
// one that fails does not stop the others. The error is about reading r or the database; what was
// created before it stays, and importing the same file again reports those as taken.
func (p *People) Import(ctx context.Context, tn *tenant.Tenant, r io.Reader, by audit.Origin) (ImportReport, error) {
	var report ImportReport
	var batch []importItem
	flush := func() error {
		if len(batch) == 0 {
			return nil
		}
		created, failures, err := p.importBatch(ctx, tn, batch, by)
		if err != nil {
			return err
		}
		report.Created += created
		report.Failures = append(report.Failures, failures...)
		batch = batch[:0]
		return nil
	}
	err := eachImported(r, func(line int, raw []byte) error {
		user, foreignID, err := parseImported(raw)
		if err != nil {
			report.Failures = append(report.Failures, ImportFailure{Line: line, Email: audit.Clean(user.Email), Err: err})
			return nil
		}
		batch = append(batch, importItem{line, user, foreignID})
		if len(batch) == importBatch {
			return flush()
		}
		return nil
	})
	err = errors.Join(err, flush())
	slices.SortStableFunc(report.Failures, func(a, b ImportFailure) int { return cmp.Compare(a.Line, b.Line) })
	return report, err
}

type importItem struct {
	line      int
	user      NewUser
	foreignID string
}

func (p *People) importBatch(ctx context.Context, tn *tenant.Tenant, batch []importItem, by audit.Origin) (created int, failures []ImportFailure, err error) {
	err = tn.DB.Write(ctx, func(tx *db.Tx) error {
		created, failures = 0, nil
		for _, item := range batch {
			switch err := p.importUser(tx, item, by); {
			case err == nil:
				created++
			case fault.Is(err, fault.Conflict) || fault.Is(err, fault.Invalid): // nothing was written
				failures = append(failures, ImportFailure{Line: item.line, Email: audit.Clean(item.user.Email), Err: err})
			default:
				return err
			}
		}
		return nil
	})
	return created, failures, err
}

func (p *People) importUser(tx *db.Tx, item importItem, by audit.Origin) error {
	a, err := p.Insert(tx, item.user)
	if err != nil {
		return err
	}
	e := by.Event(audit.UserImported, a.ID, a.CreatedAt)
	if item.foreignID != "" {
		won, err := tx.Exec(insertIdentity, importConnection, item.foreignID, a.ID, db.Micros(a.CreatedAt))
		if err != nil {
			return fmt.Errorf("people: insert identity: %w", err)
		}
		if won == 0 {
			if err := p.Remove(tx, a.ID); err != nil {
				return err
			}
			return fault.New(fault.Conflict, "There is a user with this user_id already.")
		}
		e.Detail = map[string]any{"user_id": item.foreignID}
	}
	return audit.Record(tx, e)
}

// parseImported reads one user. The user that comes with an error holds at most an address to name
// it by.
func parseImported(raw []byte) (n NewUser, foreignID string, err error) {
	var in imported
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&in); err != nil {
		return NewUser{}, "", fault.Wrap(fault.Invalid, err, "This is not a user in JSON: %v", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return NewUser{}, "", fault.New(fault.Invalid, "There is something after the user.")
	}
	n = NewUser{
		Email: in.Email, EmailVerified: in.EmailVerified, Blocked: in.Blocked, UserMetadata: in.UserMetadata, AppMetadata: in.AppMetadata,
		Profile:      Profile{Name: in.Name, GivenName: in.GivenName, FamilyName: in.FamilyName, Nickname: in.Nickname, Picture: in.Picture},
		PasswordHash: in.PasswordHash,
	}
	if c := in.CustomHash; c != nil {
		if n.PasswordHash != "" || (c.Algorithm != "bcrypt" && c.Algorithm != "argon2") {
			return n, "", fault.Field("custom_password_hash", "One hash, and its algorithm bcrypt or argon2, is accepted.")
		}
		n.PasswordHash = c.Hash.Value
	}
	if n.PasswordHash != "" {
		if err := CheckHash(n.PasswordHash); err != nil {
			return n, "", fault.Wrap(fault.Invalid, err, "%v", err)
		}
	}
	if err := checkText("user_id", in.UserID, maxProfileText); err != nil {
		return n, "", err
	}
	if id, err := uuid.Parse(in.UserID); err == nil && id.String() == in.UserID {
		n.ID = in.UserID
	} else {
		foreignID = in.UserID
	}
	return n, foreignID, nil
}

// eachImported calls f with each user of a JSON array or of lines.
func eachImported(r io.Reader, f func(line int, raw []byte) error) error {
	in := bufio.NewReader(r)
	for {
		b, err := in.ReadByte()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("people: import: %w", err)
		}
		if b == ' ' || b == '\t' || b == '\r' || b == '\n' {
			continue
		}
		if err := in.UnreadByte(); err != nil {
			return err
		}
		if b == '[' {
			return eachElement(in, f)
		}
		return eachLine(in, f)
	}
}

func eachElement(r io.Reader, f func(line int, raw []byte) error) error {
	d := json.NewDecoder(r)
	if _, err := d.Token(); err != nil {
		return fmt.Errorf("people: import: %w", err)
	}
	n := 0
	for d.More() {
		n++
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			return fmt.Errorf("people: import: user %d: %w", n, err)
		}
		if err := f(n, raw); err != nil {
			return err
		}
	}
	if _, err := d.Token(); err != nil {
		return fmt.Errorf("people: import: after user %d: %w", n, err)
	}
	return nil
}

func eachLine(r io.Reader, f func(line int, raw []byte) error) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxImportUser)
	for n := 1; lines.Scan(); n++ {
		if raw := bytes.TrimSpace(lines.Bytes()); len(raw) > 0 {
			if err := f(n, raw); err != nil {
				return err
			}
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("people: import: %w", err)
	}
	return nil
}
