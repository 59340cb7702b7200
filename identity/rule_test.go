package identity_test

import (
	"crypto/sha512"

	"github.com/oasisprotocol/curve25519-voi/curve"
	"github.com/oasisprotocol/curve25519-voi/curve/scalar"
)

// hram is SHA-512(R ‖ A ‖ M) as a scalar.
func hram(r, a, msg []byte) *scalar.Scalar {
	h := sha512.New()
	h.Write(r)
	h.Write(a)
	h.Write(msg)
	s := new(scalar.Scalar)
	if _, err := s.SetBytesModOrderWide(h.Sum(nil)); err != nil {
		panic(err)
	}
	return s
}

// ruleByHand is the rule of the package as a reader of SPEC §2.4 would write it,
// slow and without the verifier's code.
func ruleByHand(t triple) bool {
	if len(t.sig) != 64 {
		return false
	}
	var s scalar.Scalar
	if _, err := s.SetCanonicalBytes(t.sig[32:]); err != nil {
		return false
	}
	decode := func(b []byte) (p *curve.EdwardsPoint, canonical, ok bool) {
		var c, again curve.CompressedEdwardsY
		copy(c[:], b)
		p = new(curve.EdwardsPoint)
		if _, err := p.SetCompressedY(&c); err != nil {
			return nil, false, false
		}
		again.SetEdwardsPoint(p)
		return p, again == c, true
	}
	A, canonical, ok := decode(t.pub[:])
	if !ok || !canonical {
		return false
	}
	var eightA curve.EdwardsPoint
	if eightA.MulByCofactor(A); eightA.IsIdentity() {
		return false
	}
	R, _, ok := decode(t.sig[:32])
	if !ok {
		return false
	}
	var left, right, diff curve.EdwardsPoint
	left.MulBasepoint(curve.ED25519_BASEPOINT_TABLE, &s)
	right.Mul(A, hram(t.sig[:32], t.pub[:], t.msg))
	right.Add(&right, R)
	diff.MulByCofactor(diff.Sub(&left, &right))
	return diff.IsIdentity()
}
