package oauth

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
)

// ChallengeMethodS256 is the only code_challenge_method there is here; "plain"
// protects against nothing that reads the authorization request.
const ChallengeMethodS256 = "S256"

// challengeChars is the length of a SHA-256 hash in base64url.
const challengeChars = 43

// VerifyPKCE decides whether the verifier of a token request fits the challenge
// of its authorization request (RFC 7636 §4.6). Without a challenge there must
// be no verifier either: one who sends it believes to be protected, and
// somebody removed the challenge on the way (RFC 9700 §4.8.2).
func VerifyPKCE(challenge, verifier string) bool {
	if challenge == "" || verifier == "" {
		return challenge == "" && verifier == ""
	}
	if !validVerifier(verifier) {
		return false
	}
	return subtle.ConstantTimeCompare([]byte(S256Challenge(verifier)), []byte(challenge)) == 1
}

// S256Challenge returns the code_challenge of a verifier (RFC 7636 §4.2).
func S256Challenge(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// CheckPKCE judges code_challenge and code_challenge_method. required says
// that this client may not do without; that is every public client and every
// one whose profile demands it.
func (r *AuthorizationRequest) CheckPKCE(required bool) error {
	switch {
	case r.CodeChallenge == "" && r.CodeChallengeMethod != "":
		return NewError(InvalidRequest, "code_challenge is missing.")
	case r.CodeChallenge == "" && required:
		return NewError(InvalidRequest, "code_challenge is required.").
			WithHint("Use PKCE: send code_challenge and code_challenge_method=S256 (RFC 7636).")
	case r.CodeChallenge == "":
		return nil
	case r.CodeChallengeMethod != ChallengeMethodS256:
		return NewError(InvalidRequest, "code_challenge_method must be S256.").
			WithHint("Without code_challenge_method the method would be plain, which is not offered. Send code_challenge_method=S256.")
	case !validChallenge(r.CodeChallenge):
		return NewError(InvalidRequest, "code_challenge is not a SHA-256 hash in base64url.").
			WithHint("It must be the 43 characters of BASE64URL(SHA256(code_verifier)), without padding.")
	}
	return nil
}

// validChallenge: strict base64url of exactly 32 bytes.
func validChallenge(challenge string) bool {
	if len(challenge) != challengeChars {
		return false
	}
	for i := range len(challenge) {
		if c := challenge[i]; !isAlphanumeric(c) && c != '-' && c != '_' {
			return false
		}
	}
	_, err := base64.RawURLEncoding.Strict().DecodeString(challenge)
	return err == nil
}

// validVerifier is the grammar of RFC 7636 §4.1.
func validVerifier(verifier string) bool {
	if len(verifier) < 43 || len(verifier) > 128 {
		return false
	}
	for i := range len(verifier) {
		if !isUnreserved(verifier[i]) {
			return false
		}
	}
	return true
}

// isUnreserved is the set of RFC 3986 §2.3.
func isUnreserved(c byte) bool {
	return isAlphanumeric(c) || c == '-' || c == '.' || c == '_' || c == '~'
}

func isAlphanumeric(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}
