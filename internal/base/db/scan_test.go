package db_test

import (
	"database/sql"
	"errors"
	"math"
	"reflect"
	"testing"

	"github.com/gatehouse-dev/gatehouse/internal/base/db"
	"github.com/gatehouse-dev/gatehouse/internal/base/db/dbtest"
	"github.com/gatehouse-dev/gatehouse/internal/base/fault"
)

var scanSchema = series("0001_values.sql", `CREATE TABLE vals (id BIGINT PRIMARY KEY, t TEXT, b BYTEA, n BIGINT, ok BOOLEAN)`)

type (
	name   string
	digest []byte
	count  int32
	flag   bool
)

// TestTextThatIsNone: what strangers send in place of text is their mistake on both engines, whichever way it comes in, and never
// takes a connection along.
func TestTextThatIsNone(t *testing.T) {
	dbtest.Each(t, scanSchema, func(t *testing.T, d *db.DB) {
		ctx, h := t.Context(), d.System()
		for _, text := range []string{"\x00", "a\x00b", "\xff", "\xed\xa0\x80", "a\xc3"} {
			var id int64
			for way, run := range map[string]func() error{
				"read": func() error { return h.QueryRow(ctx, `SELECT id FROM vals WHERE t = $1`, text).Scan(&id) },
				"read in a verb": func() error {
					return h.Write(ctx, func(tx *db.Tx) error { return tx.QueryRow(`SELECT id FROM vals WHERE t = $1`, text).Scan(&id) })
				},
				"first in a verb": func() error {
					return h.Write(ctx, func(tx *db.Tx) error {
						_, err := tx.Exec(`INSERT INTO vals (id, t) VALUES (1, $1)`, name(text))
						return err
					})
				},
				"second in a verb": func() error {
					return h.Write(ctx, func(tx *db.Tx) error {
						if _, err := tx.Exec(`INSERT INTO vals (id, t) VALUES (1, 'x')`); err != nil {
							return err
						}
						_, err := tx.Exec(`UPDATE vals SET t = $1 WHERE id = 1`, text)
						return err
					})
				},
				"a verb of one statement": func() error {
					_, err := h.Exec(ctx, `INSERT INTO vals (id, t) VALUES (1, $1)`, func() []any { return []any{text} })
					return err
				},
			} {
				if err := run(); !errors.Is(err, db.ErrText) || !fault.Is(err, fault.Invalid) {
					t.Errorf("%q, %s: %v", text, way, err)
				}
			}
		}
		var n int64
		if err := h.QueryRow(ctx, `SELECT COUNT(*) FROM vals`).Scan(&n); err != nil || n != 0 {
			t.Errorf("%d rows were written, %v", n, err)
		}
	})
}

// TestArgumentsAndColumns stores and reads every kind of value the house uses, the same on both engines.
func TestArgumentsAndColumns(t *testing.T) {
	text, number := "text", int64(-7)
	dbtest.Each(t, scanSchema, func(t *testing.T, d *db.DB) {
		for i, test := range []struct {
			column string
			arg    any
			want   any // read into a new variable of its type
		}{
			{"t", "text", "text"},
			{"t", "", ""},
			{"t", "naïve \"'; ☃", "naïve \"'; ☃"},
			{"t", name("text"), name("text")},
			{"t", &text, &text},
			{"t", nil, (*string)(nil)},
			{"t", (*string)(nil), (*string)(nil)},
			{"t", "text", []byte("text")},
			{"t", "text", sql.NullString{String: "text", Valid: true}},
			{"t", nil, sql.NullString{}},
			{"t", nil, sql.Null[string]{}},
			{"t", sql.Null[string]{V: "x", Valid: true}, sql.Null[string]{V: "x", Valid: true}},
			{"b", []byte{0, 255}, []byte{0, 255}},
			{"b", digest{1}, digest{1}},
			{"b", nil, []byte(nil)},
			{"b", []byte(nil), []byte(nil)},
			{"n", int64(math.MaxInt64), int64(math.MaxInt64)},
			{"n", int64(math.MinInt64), int64(math.MinInt64)},
			{"n", 42, 42},
			{"n", count(42), count(42)},
			{"n", uint32(42), uint32(42)},
			{"n", nil, (*int64)(nil)},
			{"n", number, &number},
			{"n", nil, sql.NullInt64{}},
			{"n", 0, sql.NullInt64{Valid: true}},
			{"ok", true, true},
			{"ok", false, false},
			{"ok", flag(true), flag(true)},
			{"ok", nil, (*bool)(nil)},
		} {
			err := d.System().Write(t.Context(), func(tx *db.Tx) error {
				_, err := tx.Exec(`INSERT INTO vals (id, `+test.column+`) VALUES ($1, $2)`, i, test.arg)
				return err
			})
			if err != nil {
				t.Errorf("%T(%v) into %s: %v", test.arg, test.arg, test.column, err)
				continue
			}
			got := reflect.New(reflect.TypeOf(test.want))
			err = d.System().QueryRow(t.Context(), `SELECT `+test.column+` FROM vals WHERE id = $1`, i).Scan(got.Interface())
			if err != nil || !reflect.DeepEqual(got.Elem().Interface(), test.want) {
				t.Errorf("%T(%v) in %s: read %v, %v", test.arg, test.arg, test.column, got.Elem(), err)
			}
		}

		err := d.System().Write(t.Context(), func(tx *db.Tx) error {
			_, err := tx.Exec(`INSERT INTO vals (id, n, t) VALUES (-2, NULL, NULL), (-1, $1, $2)`, int64(math.MaxInt64), "text")
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, test := range []struct {
			name, sql string
			dest      any
		}{
			{"NULL", `SELECT t FROM vals WHERE id = -2`, new(string)},
			{"NULL", `SELECT n FROM vals WHERE id = -2`, new(int64)},
			{"NULL", `SELECT ok FROM vals WHERE id = -2`, new(bool)},
			{"a large number", `SELECT n FROM vals WHERE id = -1`, new(int32)},
			{"text", `SELECT t FROM vals WHERE id = -1`, new(int64)},
			{"two columns", `SELECT n, id FROM vals WHERE id = -1`, new(int64)},
		} {
			if err := d.System().QueryRow(t.Context(), test.sql).Scan(test.dest); err == nil {
				t.Errorf("%s was read into %T", test.name, test.dest)
			}
		}
	})
}
