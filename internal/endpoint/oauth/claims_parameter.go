package oauth

import "github.com/gatehouse-dev/gatehouse/protocol/jose"

// demand is what a claims parameter can not do without (OpenID Connect Core section 5.5.1). It is
// all that is heeded of one: what is merely wished for is left unmet.
type demand struct {
	ACR     []string // authentication contexts, any of which will do; nil for no demand
	Subject string   // who has to be signed in, "" for anybody
}

// demandOf reads a claims parameter, which has been checked to be a JSON object: value or values of
// id_token.acr where essential is true, and the value of id_token.sub. A demand that can not be read
// is an error: passing over it would skip what the client relies on.
func demandOf(claims string) (demand, error) {
	var asked struct {
		IDToken struct {
			ACR *struct {
				Essential bool     `json:"essential"`
				Value     string   `json:"value"`
				Values    []string `json:"values"`
			} `json:"acr"`
			Subject *struct {
				Value string `json:"value"`
			} `json:"sub"`
		} `json:"id_token"`
	}
	var out demand
	if claims == "" {
		return out, nil
	}
	if err := jose.Decode([]byte(claims), &asked); err != nil {
		return out, err
	}
	if acr := asked.IDToken.ACR; acr != nil && acr.Essential {
		if out.ACR = acr.Values; acr.Value != "" {
			out.ACR = append(out.ACR, acr.Value)
		}
	}
	if sub := asked.IDToken.Subject; sub != nil {
		out.Subject = sub.Value
	}
	return out, nil
}
