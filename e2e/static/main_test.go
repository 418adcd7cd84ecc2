// Package static drives the static sites of the examples, each with the public browser SDK that it is
// made with.
package static

import (
	"testing"

	"github.com/gatehouse-dev/gatehouse/e2e/drive"
)

func TestMain(m *testing.M) { drive.Main(m) }
