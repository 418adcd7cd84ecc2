package main

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/oauth2"
)

// byDevice signs in by a code (RFC 8628): for a terminal far away, a television, anything without a
// browser of its own. The library asks until somebody has decided, and slows down when told to.
func (p *program) byDevice(ctx context.Context) (*oauth2.Token, error) {
	verifier := oauth2.GenerateVerifier()
	codes, err := p.house.DeviceAuth(ctx, oauth2.SetAuthURLParam("audience", p.house.audience), oauth2.S256ChallengeOption(verifier))
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(p.out, "On any device, open\n\n  %s\n\nand type in this code:\n\n  %s\n\n", codes.VerificationURI, codes.UserCode)
	token, err := p.house.DeviceAccessToken(ctx, codes, oauth2.VerifierOption(verifier))
	refused := (*oauth2.RetrieveError)(nil)
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &refused) && refused.ErrorCode == "expired_token":
		return nil, errors.New("nobody typed in the code in time: run it again for a new one")
	case refused != nil && refused.ErrorCode == "access_denied":
		return nil, errors.New("you said no")
	}
	return token, err
}
