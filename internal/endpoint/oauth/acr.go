package oauth

import "github.com/gatehouse-dev/gatehouse/protocol/jose"

// essentialACR returns the authentication contexts a claims parameter can not do without (OpenID
// Connect Core section 5.5.1): value or values of id_token.acr where essential is true. The
// parameter has been checked to be a JSON object. A demand that can not be read is an error:
// passing over it would skip what the client relies on.
func essentialACR(claims string) ([]string, error) {
	var demand struct {
		IDToken struct {
			ACR *struct {
				Essential bool     `json:"essential"`
				Value     string   `json:"value"`
				Values    []string `json:"values"`
			} `json:"acr"`
		} `json:"id_token"`
	}
	if claims == "" {
		return nil, nil
	}
	if err := jose.Decode([]byte(claims), &demand); err != nil {
		return nil, err
	}
	acr := demand.IDToken.ACR
	switch {
	case acr == nil || !acr.Essential:
		return nil, nil
	case acr.Value != "":
		return append(acr.Values, acr.Value), nil
	}
	return acr.Values, nil
}
