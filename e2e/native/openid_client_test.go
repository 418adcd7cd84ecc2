package native

import (
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/gatehouse-dev/gatehouse/e2e/drive"
)

// openid-client, oauth4webapi under it, and jose beside it are what most of Node.js signs in with,
// inside frameworks or by themselves. They check all that the specifications let them check.
func TestOpenIDClient(t *testing.T) {
	if _, err := drive.NPMPackage("openid-client"); err != nil {
		t.Fatal(err)
	}
	h := drive.OpenHouse(t)
	cmd := exec.CommandContext(t.Context(), "node", "testdata/openid_client.mjs", filepath.Join(h.Folder, "dev.json"), filepath.Join(drive.Root(), "examples", "package.json"))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}
