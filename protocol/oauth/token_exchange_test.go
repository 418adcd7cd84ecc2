package oauth_test

import (
	"maps"
	"testing"

	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
)

func TestParseTokenExchange(t *testing.T) {
	for name, c := range map[string]struct {
		change oauth.Params
		code   string
	}{
		"least":                  {nil, ""},
		"everything":             {oauth.Params{"audience": "https://api/", "scope": "a b", "requested_token_type": oauth.TokenTypeJWT}, ""},
		"resource":               {oauth.Params{"resource": "https://api/", "requested_token_type": oauth.TokenTypeAccessToken}, ""},
		"no subject":             {oauth.Params{"subject_token": ""}, oauth.InvalidRequest},
		"no type":                {oauth.Params{"subject_token_type": ""}, oauth.InvalidRequest},
		"another type":           {oauth.Params{"subject_token_type": oauth.TokenTypeAccessToken}, oauth.InvalidRequest},
		"an actor":               {oauth.Params{"actor_token": "x"}, oauth.InvalidRequest},
		"a refresh token wanted": {oauth.Params{"requested_token_type": "urn:ietf:params:oauth:token-type:refresh_token"}, oauth.InvalidRequest},
		"two targets":            {oauth.Params{"audience": "https://a/", "resource": "https://b/"}, oauth.InvalidTarget},
		"bad scope":              {oauth.Params{"scope": "a\"b"}, oauth.InvalidScope},
	} {
		p := oauth.Params{"subject_token": "key", "subject_token_type": oauth.TokenTypeAPIKey}
		maps.Copy(p, c.change)
		x, err := oauth.ParseTokenExchange(p, oauth.TokenTypeAPIKey)
		if got := oauth.CodeOf(err); got != c.code || err == nil && x.SubjectToken != "key" {
			t.Errorf("%s: %v, want %q", name, err, c.code)
		}
		if err == nil && c.change != nil && x.Audience != "https://api/" {
			t.Errorf("%s: %+v", name, x)
		}
	}
}
