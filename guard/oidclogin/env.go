package oidclogin

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// setting is one thing the environment says, under the names people know: the
// neutral one first, then those of Auth0's SDKs.
type setting struct {
	names    []string
	what     string
	required bool
	take     func(o *Options, name, value string)
}

func settings() []setting {
	return []setting{
		{[]string{"OIDC_ISSUER", "AUTH0_ISSUER_BASE_URL", "AUTH0_DOMAIN"}, "the provider, such as https://id.example.com/", true, func(o *Options, name, value string) {
			if name != "OIDC_ISSUER" { // the SDKs take a bare host, and put the slash of the issuer there themselves
				if !strings.Contains(value, "://") {
					value = "https://" + value
				}
				value = strings.TrimSuffix(value, "/") + "/"
			}
			o.Issuer = value
		}},
		{[]string{"OIDC_CLIENT_ID", "AUTH0_CLIENT_ID"}, "the client id the provider registered", true, func(o *Options, _, value string) { o.ClientID = value }},
		{[]string{"OIDC_CLIENT_SECRET", "AUTH0_CLIENT_SECRET"}, "", false, func(o *Options, _, value string) { o.ClientSecret = value }},
		{[]string{"OIDC_SECRET", "AUTH0_SECRET"}, "at least 32 random bytes, made by: openssl rand -hex 32", true, func(o *Options, _, value string) {
			for secret := range strings.SplitSeq(value, ",") {
				o.Secrets = append(o.Secrets, strings.TrimSpace(secret))
			}
		}},
		{[]string{"APP_BASE_URL", "OIDC_BASE_URL", "AUTH0_BASE_URL"}, "where browsers find this application, such as https://app.example.com", true, func(o *Options, _, value string) { o.BaseURL = value }},
		{[]string{"OIDC_SCOPE", "AUTH0_SCOPE"}, "", false, func(o *Options, _, value string) { o.Scopes = strings.Fields(value) }},
		{[]string{"OIDC_AUDIENCE", "AUTH0_AUDIENCE"}, "", false, func(o *Options, _, value string) { o.Audience = value }},
	}
}

// FromEnv reads Options from the environment, under the names OIDC_… or those of
// Auth0's SDKs, so that what ran with one of them runs unchanged:
//
//	o, err := oidclogin.FromEnv(os.Getenv)
//
// OIDC_ISSUER (exact) or AUTH0_ISSUER_BASE_URL or AUTH0_DOMAIN, OIDC_CLIENT_ID or
// AUTH0_CLIENT_ID, OIDC_SECRET or AUTH0_SECRET (several, the newest first, are
// separated by commas) and APP_BASE_URL or OIDC_BASE_URL or AUTH0_BASE_URL are
// required; OIDC_CLIENT_SECRET, OIDC_SCOPE and OIDC_AUDIENCE, or with AUTH0_, are
// not. The caller may change the result before New.
//
// The error names everything that is missing and says what belongs there, and
// names that contradict each other. It shows no value.
func FromEnv(getenv func(name string) string) (Options, error) {
	var o Options
	var problems []error
	for _, s := range settings() {
		found := slices.DeleteFunc(slices.Clone(s.names), func(name string) bool { return getenv(name) == "" })
		switch {
		case len(found) == 0 && s.required:
			problems = append(problems, fmt.Errorf("%s is missing: %s", strings.Join(s.names, " or "), s.what))
		case len(found) > 0:
			s.take(&o, found[0], getenv(found[0]))
			for _, other := range found[1:] {
				if getenv(other) != getenv(found[0]) && !s.same(found[0], other, getenv) {
					problems = append(problems, fmt.Errorf("%s and %s contradict each other: set one", found[0], other))
				}
			}
		}
	}
	if len(problems) > 0 {
		return Options{}, fmt.Errorf("oidclogin: environment: %w", errors.Join(problems...))
	}
	return o, nil
}

// same reports whether two names say the same thing in two spellings, as a domain
// and a URL do.
func (s setting) same(one, other string, getenv func(string) string) bool {
	var a, b Options
	s.take(&a, one, getenv(one))
	s.take(&b, other, getenv(other))
	return a.Issuer != "" && a.Issuer == b.Issuer
}
