package oauth

import "github.com/gatehouse-dev/gatehouse/protocol/jose"

// essentialACR returns the authentication contexts a claims parameter can not do without (OpenID
// Connect Core section 5.5.1): value or values of id_token.acr where essential is true. The
// parameter has been checked to be a JSON object.
func essentialACR(claims string) []string {
	var demand struct {
		IDToken struct {
			ACR *struct {
				Essential bool     `json:"essential"`
				Value     string   `json:"value"`
				Values    []string `json:"values"`
			} `json:"acr"`
		} `json:"id_token"`
	}
	if claims == "" || jose.Decode([]byte(claims), &demand) != nil || demand.IDToken.ACR == nil || !demand.IDToken.ACR.Essential {
		return nil
	}
	if acr := demand.IDToken.ACR; acr.Value != "" {
		return append(acr.Values, acr.Value)
	}
	return demand.IDToken.ACR.Values
}
