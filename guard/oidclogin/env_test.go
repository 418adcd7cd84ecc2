package oidclogin_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/gatehouse-dev/gatehouse/guard/oidclogin"
)

func TestFromEnv(t *testing.T) {
	const hex = "5f1c0e3b9a7d48e26b5c3f1a0d9e8b7c6a5f4e3d2c1b0a9f8e7d6c5b4a392817"
	for name, tt := range map[string]struct {
		env  map[string]string
		want oidclogin.Options
	}{
		"as for nextjs-auth0 4": {
			map[string]string{"AUTH0_DOMAIN": "tenant.eu.auth0.com", "AUTH0_CLIENT_ID": "c", "AUTH0_CLIENT_SECRET": "s", "AUTH0_SECRET": hex, "APP_BASE_URL": "http://localhost:3000", "AUTH0_SCOPE": "openid offline_access", "AUTH0_AUDIENCE": "https://api"},
			oidclogin.Options{Issuer: "https://tenant.eu.auth0.com/", ClientID: "c", ClientSecret: "s", Secrets: []string{hex}, BaseURL: "http://localhost:3000", Scopes: []string{"openid", "offline_access"}, Audience: "https://api"},
		},
		"as for nextjs-auth0 3": {
			map[string]string{"AUTH0_ISSUER_BASE_URL": "https://tenant.eu.auth0.com", "AUTH0_CLIENT_ID": "c", "AUTH0_SECRET": hex, "AUTH0_BASE_URL": "https://app.example.com"},
			oidclogin.Options{Issuer: "https://tenant.eu.auth0.com/", ClientID: "c", Secrets: []string{hex}, BaseURL: "https://app.example.com"},
		},
		"a domain that is an address": {
			map[string]string{"AUTH0_DOMAIN": "http://localhost:8080", "AUTH0_CLIENT_ID": "c", "AUTH0_SECRET": hex, "APP_BASE_URL": "http://localhost:3000"},
			oidclogin.Options{Issuer: "http://localhost:8080/", ClientID: "c", Secrets: []string{hex}, BaseURL: "http://localhost:3000"},
		},
		"neutral": {
			map[string]string{"OIDC_ISSUER": "https://id.example.com/realms/one", "OIDC_CLIENT_ID": "c", "OIDC_CLIENT_SECRET": "s", "OIDC_SECRET": hex + ", " + secret, "OIDC_BASE_URL": "https://app.example.com", "OIDC_SCOPE": "openid", "OIDC_AUDIENCE": "api"},
			oidclogin.Options{Issuer: "https://id.example.com/realms/one", ClientID: "c", ClientSecret: "s", Secrets: []string{hex, secret}, BaseURL: "https://app.example.com", Scopes: []string{"openid"}, Audience: "api"},
		},
		"the same twice": {
			map[string]string{"AUTH0_DOMAIN": "t.auth0.com", "AUTH0_ISSUER_BASE_URL": "https://t.auth0.com", "AUTH0_CLIENT_ID": "c", "OIDC_CLIENT_ID": "c", "AUTH0_SECRET": hex, "APP_BASE_URL": "https://app.example.com"},
			oidclogin.Options{Issuer: "https://t.auth0.com/", ClientID: "c", Secrets: []string{hex}, BaseURL: "https://app.example.com"},
		},
	} {
		got, err := oidclogin.FromEnv(func(name string) string { return tt.env[name] })
		if err != nil || !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
		if _, err := oidclogin.New(got); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestFromEnvNamesEverythingThatIsMissing(t *testing.T) {
	_, err := oidclogin.FromEnv(func(string) string { return "" })
	for _, want := range []string{"OIDC_ISSUER or AUTH0_ISSUER_BASE_URL or AUTH0_DOMAIN", "AUTH0_CLIENT_ID", "AUTH0_SECRET", "openssl rand", "APP_BASE_URL"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in %v", want, err)
		}
	}
	if strings.Contains(err.Error(), "CLIENT_SECRET") || strings.Contains(err.Error(), "SCOPE") {
		t.Errorf("what may be left out is demanded: %v", err)
	}
	env := map[string]string{"AUTH0_CLIENT_ID": "one", "OIDC_CLIENT_ID": "two", "AUTH0_SECRET": "hunter2", "OIDC_SECRET": "hunter3"}
	_, err = oidclogin.FromEnv(func(name string) string { return env[name] })
	if err == nil || !strings.Contains(err.Error(), "OIDC_CLIENT_ID and AUTH0_CLIENT_ID contradict") || strings.Contains(err.Error(), "hunter") {
		t.Errorf("%v", err)
	}
}
