package digest

import (
	"context"
	"errors"
	"fmt"

	protocol "github.com/gatehouse-dev/gatehouse/protocol/digest"
)

// Users returns an Options.Find for a few users in memory, by name with their
// passwords, for every algorithm: for a device, or a handful of them. Of the
// passwords it keeps what a table would.
func (s *Sealer) Users(realm string, passwords map[string]string) (func(context.Context, Name) (Record, error), error) {
	if len(passwords) == 0 {
		return nil, errors.New("digest: Users needs one user at least")
	}
	records := make(map[Name]Record, 6*len(passwords))
	for username, password := range passwords {
		if username == "" {
			return nil, errors.New("digest: a user name is empty")
		}
		for _, a := range [...]Algorithm{SHA512256, SHA256, MD5} {
			sealed, err := s.Seal(a, realm, username, password)
			if err != nil {
				return nil, fmt.Errorf("%w (user %q)", err, username)
			}
			record := Record{Username: username, HA1: sealed}
			records[Name{Username: username, Algorithm: a}] = record
			records[Name{Userhash: protocol.Userhash(a, username, realm), Algorithm: a}] = record
		}
	}
	return func(_ context.Context, name Name) (Record, error) {
		record, ok := records[name]
		if !ok {
			return Record{}, ErrUnknown
		}
		return record, nil
	}, nil
}
