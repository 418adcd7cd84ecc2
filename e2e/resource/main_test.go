package resource

import (
	"testing"

	"github.com/gatehouse-dev/gatehouse/e2e/drive"
)

func TestMain(m *testing.M) { drive.Main(m) }
