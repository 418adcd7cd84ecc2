package jose

import "fmt"

// The standard library speaks ASN.1 DER for ECDSA signatures, JWS wants the
// two integers at fixed width one after the other (RFC 7518 §3.4).

const (
	p256Bytes     = 32
	p256SigBytes  = 2 * p256Bytes
	derInteger    = 0x02
	derSequence   = 0x30
	maxP256DERLen = 2 + 2*(2+1+p256Bytes)
)

// appendDER appends the DER form of the fixed-width signature raw, which is
// 64 bytes long, to dst.
func appendDER(dst, raw []byte) []byte {
	r, s := trimInteger(raw[:p256Bytes]), trimInteger(raw[p256Bytes:])
	dst = append(dst, derSequence, byte(derIntegerLen(r)+derIntegerLen(s)))
	dst = appendDERInteger(dst, r)
	return appendDERInteger(dst, s)
}

// trimInteger drops leading zero bytes but keeps one digit.
func trimInteger(n []byte) []byte {
	for len(n) > 1 && n[0] == 0 {
		n = n[1:]
	}
	return n
}

func derIntegerLen(n []byte) int { return 2 + len(n) + int(n[0]>>7) }

func appendDERInteger(dst, n []byte) []byte {
	dst = append(dst, derInteger, byte(len(n)+int(n[0]>>7)))
	if n[0]>>7 == 1 {
		dst = append(dst, 0) // DER integers are signed; ours never are
	}
	return append(dst, n...)
}

// fromDER turns a signer's DER signature into the fixed-width form.
func fromDER(der []byte) (raw [p256SigBytes]byte, err error) {
	if len(der) < 2 || der[0] != derSequence || int(der[1]) != len(der)-2 {
		return raw, fmt.Errorf("%w: signer returned no DER sequence", ErrSignature)
	}
	rest := der[2:]
	for _, out := range [][]byte{raw[:p256Bytes], raw[p256Bytes:]} {
		if len(rest) < 3 || rest[0] != derInteger || int(rest[1]) > len(rest)-2 || rest[1] == 0 {
			return raw, fmt.Errorf("%w: signer returned no DER integer", ErrSignature)
		}
		n := trimInteger(rest[2 : 2+rest[1]])
		if len(n) > p256Bytes {
			return raw, fmt.Errorf("%w: signer returned an integer that is too long", ErrSignature)
		}
		copy(out[p256Bytes-len(n):], n)
		rest = rest[2+rest[1]:]
	}
	if len(rest) != 0 {
		return raw, fmt.Errorf("%w: signer returned trailing bytes", ErrSignature)
	}
	return raw, nil
}
