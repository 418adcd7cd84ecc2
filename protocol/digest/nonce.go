package digest

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"time"
)

// Nonces makes and checks nonces that need not be kept: each holds the time it
// was made at, under a MAC that binds it to the realm.
type Nonces struct {
	// Keys are random secrets of 32 bytes: the first makes, all of them check. All
	// servers of a realm have the same.
	Keys [][]byte
	// Realm is where the nonces are good.
	Realm string
	// Life is how long they are.
	Life time.Duration
}

// What is wrong with a nonce.
var (
	ErrNonceForeign = errors.New("digest: the nonce is not from here")
	ErrNonceExpired = errors.New("digest: the nonce is too old")
)

const (
	nonceTime   = 8
	nonceRandom = 12
	nonceMAC    = 16
	nonceSize   = nonceTime + nonceRandom + nonceMAC // a multiple of three: no padding
)

// New makes a nonce at the time now, with randomness from random.
func (n Nonces) New(now time.Time, random io.Reader) (string, error) {
	b := binary.BigEndian.AppendUint64(make([]byte, 0, nonceSize), uint64(now.UnixMilli()))
	b = b[:nonceTime+nonceRandom]
	if _, err := io.ReadFull(random, b[nonceTime:]); err != nil {
		return "", err
	}
	b = append(b, n.mac(n.Keys[0], b)...)
	return base64.URLEncoding.EncodeToString(b), nil
}

// Check returns when nonce was made, which holds for an expired one, too, and
// whether it is good at the time now.
func (n Nonces) Check(nonce string, now time.Time) (made time.Time, err error) {
	var buf [nonceSize]byte
	if len(nonce) != base64.URLEncoding.EncodedLen(nonceSize) || strings.ContainsAny(nonce, "\r\n") {
		return time.Time{}, ErrNonceForeign
	}
	if k, err := base64.URLEncoding.Decode(buf[:], []byte(nonce)); err != nil || k != nonceSize {
		return time.Time{}, ErrNonceForeign
	}
	head, mac := buf[:nonceTime+nonceRandom], buf[nonceTime+nonceRandom:]
	for _, key := range n.Keys {
		if !hmac.Equal(n.mac(key, head), mac) {
			continue
		}
		made = time.UnixMilli(int64(binary.BigEndian.Uint64(head)))
		// Another server's clock may be ahead of ours, by less than a life.
		if age := now.Sub(made); age >= n.Life || age <= -n.Life {
			return made, ErrNonceExpired
		}
		return made, nil
	}
	return time.Time{}, ErrNonceForeign
}

func (n Nonces) mac(key, head []byte) []byte {
	h := hmac.New(sha256.New, key)
	_, _ = h.Write(head) // of fixed length, so that no realm can pass for a part of it
	_, _ = io.WriteString(h, n.Realm)
	return h.Sum(nil)[:nonceMAC]
}
