// Package backend drives the Next.js examples that keep their user on the server, each with the public
// SDK that it is made with: what a person does, the race of renewals, and how large the cookies get.
package backend

import (
	"testing"

	"github.com/gatehouse-dev/gatehouse/e2e/drive"
)

func TestMain(m *testing.M) { drive.Main(m) }
