package protocol_test

import (
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/sha512"
	"slices"
	"testing"

	"github.com/oasisprotocol/curve25519-voi/curve"
	"github.com/oasisprotocol/curve25519-voi/curve/scalar"

	"github.com/metastate-p2p/metastate/identity"
)

// resign returns a second valid signature of d by key: the same equation with
// another nonce r (RFC 8032 §5.1.6, step 2 left free).
func resign(t testing.TB, key identity.SigningKey, d draft) []byte {
	t.Helper()
	payload := sha256.Sum256(d.payload())
	msg := slices.Concat([]byte("metastate/record/v1\x00"), []byte{byte(len(d.kind))}, []byte(d.kind), d.metastate[:], payload[:])

	seed := key.Seed()
	expanded := sha512.Sum512(seed[:])
	expanded[0] &= 248
	expanded[31] = expanded[31]&127 | 64
	secret, err := scalar.NewFromBits(expanded[:32])
	if err != nil {
		t.Fatal(err)
	}
	nonceHash := sha512.Sum512([]byte("another nonce"))
	nonce, err := scalar.NewFromBytesModOrderWide(nonceHash[:])
	if err != nil {
		t.Fatal(err)
	}
	var point curve.CompressedEdwardsY
	point.SetEdwardsPoint(new(curve.EdwardsPoint).MulBasepoint(curve.ED25519_BASEPOINT_TABLE, nonce))

	pub := key.Public()
	challenge := sha512.Sum512(slices.Concat(point[:], pub[:], msg))
	k, err := scalar.NewFromBytesModOrderWide(challenge[:])
	if err != nil {
		t.Fatal(err)
	}
	s := scalar.New().Mul(k, secret)
	s.Add(s, nonce)
	sig := make([]byte, ed25519.SignatureSize)
	copy(sig, point[:])
	if err := s.ToBytes(sig[32:]); err != nil {
		t.Fatal(err)
	}
	return sig
}
