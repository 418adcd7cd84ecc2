package digest

import (
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"

	"github.com/gatehouse-dev/gatehouse/guard/internal/keyring"
	protocol "github.com/gatehouse-dev/gatehouse/protocol/digest"
)

// Sealer holds the secrets of a realm: it seals what is stored of passwords, and
// the keys of nonces are derived from the same secrets. All servers of a realm
// have the same. It is safe for concurrent use.
type Sealer struct {
	ring   *keyring.Sealer
	nonces [][]byte
}

// NewSealer makes a Sealer of random secrets of 32 bytes at least. The first
// seals and signs, all of them open and check: to rotate, put a new one in front
// and remove the old one once every password was set, or sealed, anew.
func NewSealer(secrets ...string) (*Sealer, error) {
	ring, err := keyring.New(secrets...)
	if err != nil {
		return nil, fmt.Errorf("digest: %w", err)
	}
	s := &Sealer{}
	if s.ring, err = ring.For("digest H(A1)"); err != nil {
		return nil, fmt.Errorf("digest: %w", err)
	}
	for _, secret := range secrets {
		key, err := hkdf.Key(sha256.New, []byte(secret), nil, "gatehouse guard v1: digest nonces", 32)
		if err != nil {
			return nil, fmt.Errorf("digest: %w", err)
		}
		s.nonces = append(s.nonces, key)
	}
	return s, nil
}

// Seal returns what to store of a password, as it is set: H(A1) for this user in
// this realm, encrypted. It opens for the same algorithm, realm and user name
// alone, to the letter: copied to another user's row it is worth nothing. A
// server that offers several algorithms stores one of each.
//
// It fails on a name with a colon, which would make two users one, on an empty
// password, and on an algorithm that is none.
func (s *Sealer) Seal(a Algorithm, realm, username, password string) ([]byte, error) {
	switch {
	case !a.Known():
		return nil, fmt.Errorf("digest: %q is not an algorithm of this package", a)
	case strings.Contains(username, ":"):
		return nil, errors.New("digest: a user name cannot hold a colon")
	case password == "":
		return nil, errors.New("digest: the password is empty")
	}
	return s.seal(a, realm, username, protocol.HA1(a, username, realm, password)), nil
}

func (s *Sealer) seal(a Algorithm, realm, username, ha1 string) []byte {
	return s.ring.Seal(place(a, realm, username), []byte(ha1))
}

func (s *Sealer) open(a Algorithm, realm, username string, sealed []byte) (ha1 string, err error) {
	plain, err := s.ring.Open(place(a, realm, username), sealed)
	return string(plain), err
}

// place is what a sealed H(A1) is bound to: quoted, so that no two read alike.
func place(a Algorithm, realm, username string) string {
	return fmt.Sprintf("%s %q %q", a, realm, username)
}
