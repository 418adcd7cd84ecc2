package main

import (
	"testing"

	"github.com/gatehouse-dev/gatehouse/internal/base/db/dbtest"
)

func TestExitCodeIsTheCommands(t *testing.T) {
	if testing.Short() {
		t.Skip("PostgreSQL is left out of -short")
	}
	for command, want := range map[string]int{
		`exit 0`:                              0,
		`exit 7`:                              7,
		`test -n "$` + dbtest.EnvServer + `"`: 0,
	} {
		if code, err := run([]string{"--", "/bin/sh", "-c", command}); code != want || err != nil {
			t.Errorf("%s: code %d, %v", command, code, err)
		}
	}
	if code, err := run([]string{"/nonexistent/command"}); code == 0 || err == nil {
		t.Errorf("a missing command: code %d, %v", code, err)
	}
	if code, err := run(nil); code == 0 || err == nil {
		t.Errorf("no command: code %d, %v", code, err)
	}
}
