package bearer

import (
	"encoding/json"
	"net/http"

	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
)

// Resource is what the metadata of this API tells clients (RFC 9728), beside
// what the other options say: its address, its issuers, whether it takes DPoP.
type Resource struct {
	// Name is the API's name for people.
	Name string
	// Scopes are those that clients may want to ask for.
	Scopes []string
	// Documentation is the address of a page for developers.
	Documentation string
	// DPoPRequired tells that no other tokens are taken. The routes see to it that
	// this is true, by guard.DPoPBound.
	DPoPRequired bool
	// CertificateBound tells that certificate-bound tokens are taken.
	CertificateBound bool
}

// document returns the metadata of the resource at address, and where it is to
// be found.
func (o Resource) document(address string, issuers []*issuer, d *dpop) (data []byte, location string, err error) {
	if location, err = oauth.ResourceMetadataURL(address); err != nil {
		return nil, "", err
	}
	m := oauth.ResourceMetadata{
		Resource: address, ResourceName: o.Name, ScopesSupported: o.Scopes, ResourceDocumentation: o.Documentation,
		BearerMethodsSupported:                []string{"header"},
		TLSClientCertificateBoundAccessTokens: o.CertificateBound,
	}
	for _, i := range issuers {
		m.AuthorizationServers = append(m.AuthorizationServers, i.rules.Issuer)
	}
	if d != nil {
		m.DPoPBoundAccessTokensRequired = o.DPoPRequired
		for _, alg := range d.algs {
			m.DPoPSigningAlgValuesSupported = append(m.DPoPSigningAlgValuesSupported, string(alg))
		}
	}
	data, err = json.Marshal(m)
	return data, location, err
}

// Metadata serves what Options.Resource says, to anybody: mount it without
// Require at "/.well-known/oauth-protected-resource", followed by the path of
// Options.URL if that has one. Challenges name its address. Without
// Options.Resource it answers 404.
func (s *Scheme) Metadata() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case s.metadata == nil:
			http.NotFound(w, r)
			return
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, http.StatusText(http.StatusMethodNotAllowed), http.StatusMethodNotAllowed)
			return
		}
		h := w.Header()
		h.Set("Content-Type", "application/json")
		h.Set("Cache-Control", "public, max-age=3600")
		h.Set("Access-Control-Allow-Origin", "*") // public, and read by clients in browsers
		h.Set("X-Content-Type-Options", "nosniff")
		_, _ = w.Write(s.metadata)
	})
}
