package identity

import (
	"container/list"
	"sync"

	voi "github.com/oasisprotocol/curve25519-voi/primitives/ed25519"
)

// The verification rule (SPEC §2.4). Given A, R ‖ s and M, accept iff
//
//	s < L, as a canonical little-endian integer        (ZIP-215)
//	R decodes to a point, in any encoding               (ZIP-215)
//	A decodes to a point, in its one canonical encoding
//	[8]A is not the identity                            (A is not of small order)
//	[8][s]B = [8]R + [8][SHA-512(R ‖ A ‖ M)]A           (cofactored, ZIP-215)
//
// Only a cofactored rule agrees with itself in batches. Without the last rule
// on A anyone could show a signature valid for every message (A = identity).
//
// The options are spelled out, not taken from a preset: they are consensus. No
// one knows a signature that only the check for a canonical A refuses, as that
// takes the discrete logarithm of a point with y < 19; a test pins the option.
func ruleOptions() *voi.Options {
	return &voi.Options{Verify: &voi.VerifyOptions{
		AllowSmallOrderA:   false,
		AllowSmallOrderR:   true,
		AllowNonCanonicalA: false,
		AllowNonCanonicalR: true,
		CofactorlessVerify: false,
	}}
}

// Verify reports whether sig is a signature of msg by pub under the protocol's
// one rule: ZIP-215 (cofactored, s canonical) with A canonical and not of small
// order. Any sig that is not [SignatureSize] long is refused.
func Verify(pub PublicKey, msg, sig []byte) bool {
	return voi.VerifyWithOptions(pub[:], msg, sig, ruleOptions())
}

// A Verifier remembers the keys it saw last in a form that takes a quarter less
// to verify with, about 1.7 KiB each; a key that it does not know costs next to
// nothing. Its answers are those of [Verify]. It is safe for concurrent use. A nil
// Verifier remembers nothing.
type Verifier struct {
	capacity int

	mu     sync.Mutex // guards the two below
	recent list.List  // of *expandedKey, latest use first
	byKey  map[PublicKey]*list.Element
}

type expandedKey struct {
	key      PublicKey
	expanded *voi.ExpandedPublicKey
}

// NewVerifier returns a Verifier that remembers up to capacity keys, at least
// one.
func NewVerifier(capacity int) *Verifier {
	return &Verifier{capacity: max(capacity, 1), byKey: make(map[PublicKey]*list.Element)}
}

// Verify is [Verify].
func (v *Verifier) Verify(pub PublicKey, msg, sig []byte) bool {
	if v == nil {
		return Verify(pub, msg, sig)
	}
	expanded := v.expand(pub)
	return expanded != nil && voi.VerifyExpandedWithOptions(expanded, msg, sig, ruleOptions())
}

// Batch returns an empty batch that uses the Verifier's keys.
func (v *Verifier) Batch() *Batch { return &Batch{verifier: v} }

// expand returns the expanded form of pub, nil if it is not a point.
func (v *Verifier) expand(pub PublicKey) *voi.ExpandedPublicKey {
	if e := v.lookup(pub); e != nil {
		return e
	}
	expanded, err := voi.NewExpandedPublicKey(pub[:]) // outside the lock: it is the slow part
	if err != nil {
		return nil
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if el := v.byKey[pub]; el != nil {
		return el.Value.(*expandedKey).expanded
	}
	if v.recent.Len() >= v.capacity {
		oldest := v.recent.Remove(v.recent.Back()).(*expandedKey)
		delete(v.byKey, oldest.key)
	}
	v.byKey[pub] = v.recent.PushFront(&expandedKey{pub, expanded})
	return expanded
}

func (v *Verifier) lookup(pub PublicKey) *voi.ExpandedPublicKey {
	v.mu.Lock()
	defer v.mu.Unlock()
	el := v.byKey[pub]
	if el == nil {
		return nil
	}
	v.recent.MoveToFront(el)
	return el.Value.(*expandedKey).expanded
}
