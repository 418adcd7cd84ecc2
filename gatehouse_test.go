package gatehouse_test

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gatehouse-dev/gatehouse"
)

// A program that embeds the house has a listener of its own: it names no certificate, no proxy and
// no address, and is asked for none.
func TestOpenNeedsNoListener(t *testing.T) {
	c := gatehouse.DefaultConfig()
	c.Issuer = "https://login.example.com/"
	c.Listen = ""
	c.Operations.Listen = "0.0.0.0:9090"
	c.Database.URL = gatehouse.NewSecret("sqlite:" + filepath.Join(t.TempDir(), "gatehouse.db"))
	key := make([]byte, 32)
	_, _ = rand.Read(key)
	c.MasterKeys = []gatehouse.Secret{gatehouse.NewSecret(base64.StdEncoding.EncodeToString(key))}
	c.Mail.Host, c.Mail.From = "mail.example.com", "login@example.com"
	house, err := gatehouse.Open(context.Background(), c, nil)
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest("GET", "https://login.example.com/.well-known/openid-configuration", nil)
	w := httptest.NewRecorder()
	house.ServeHTTP(w, r)
	if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), `"issuer":"https://login.example.com/"`) {
		t.Errorf("discovery: %d %s", w.Code, w.Body)
	}
	if err := house.Close(); err != nil {
		t.Error(err)
	}
}

func TestOpenListsAllProblems(t *testing.T) {
	_, err := gatehouse.Open(context.Background(), gatehouse.DefaultConfig(), nil)
	for _, key := range []string{"issuer", "database.url", "master_keys", "mail.host"} {
		if err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("%s is not in: %v", key, err)
		}
	}
}
