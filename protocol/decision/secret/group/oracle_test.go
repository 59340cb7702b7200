package group_test

import (
	"bytes"
	"testing"

	circl "github.com/cloudflare/circl/group"
	"github.com/cloudflare/circl/secretsharing"
	"pgregory.net/rapid"

	"github.com/metastate-p2p/metastate/protocol/decision/secret/group"
)

// theirs is a scalar in the other implementation, whose encoding is the same.
func theirs(t *rapid.T, s group.Scalar) circl.Scalar {
	x, b := circl.Ristretto255.NewScalar(), s.Bytes()
	if err := x.UnmarshalBinary(b[:]); err != nil {
		t.Fatal(err)
	}
	return x
}

func binary(t *rapid.T, x interface{ MarshalBinary() ([]byte, error) }) []byte {
	b, err := x.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestAgainstCIRCL: another implementation computes the same.
func TestAgainstCIRCL(t *testing.T) {
	r := circl.Ristretto255
	rapid.Check(t, func(t *rapid.T) {
		a, b := scalars().Draw(t, "a"), scalars().Draw(t, "b")
		x, y := theirs(t, a), theirs(t, b)
		p, q := group.Base(a), r.NewElement().MulGen(x)
		for what, pair := range map[string]struct {
			ours group.Scalar
			it   circl.Scalar
		}{
			"sum": {a.Add(b), r.NewScalar().Add(x, y)}, "difference": {a.Sub(b), r.NewScalar().Sub(x, y)},
			"product": {a.Mul(b), r.NewScalar().Mul(x, y)}, "negation": {a.Neg(), r.NewScalar().Neg(x)},
		} {
			if enc := pair.ours.Bytes(); !bytes.Equal(enc[:], binary(t, pair.it)) {
				t.Errorf("%s of scalars differs", what)
			}
		}
		for what, pair := range map[string]struct {
			ours group.Point
			it   circl.Element
		}{
			"base": {p, q}, "multiple": {p.Mul(b), r.NewElement().Mul(q, y)},
			"sum":        {p.Mul(b).Add(p), r.NewElement().Add(r.NewElement().Mul(q, y), q)},
			"difference": {group.Base(b).Sub(p), r.NewElement().Add(r.NewElement().MulGen(y), r.NewElement().Neg(q))},
		} {
			if enc := pair.ours.Bytes(); !bytes.Equal(enc[:], binary(t, pair.it)) {
				t.Errorf("%s of points differs", what)
			}
		}
	})
}

// TestShamirAgainstCIRCL: shares that another implementation deals are points of
// the polynomial that its commitments name.
func TestShamirAgainstCIRCL(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		secret := scalars().Draw(t, "secret")
		seed := bytes.NewReader(rapid.SliceOfN(rapid.Byte(), 4096, 4096).Draw(t, "coins"))
		deal := secretsharing.New(seed, 1, theirs(t, secret))
		commitment := deal.CommitSecret()
		var c [2]group.Point
		for i, e := range commitment {
			p, err := group.ParsePoint(binary(t, e))
			if err != nil {
				t.Fatal(err)
			}
			c[i] = p
		}
		shares := deal.Share(4)
		for i, s := range shares {
			value, err := group.ParseScalar(binary(t, s.Value))
			if err != nil || !group.Base(value).Equal(c[0].Add(c[1].Mul(group.Number(uint64(i+1))))) {
				t.Errorf("share %d: %v", i+1, err)
			}
		}
		back, err := secretsharing.Recover(1, shares[2:])
		if err != nil || !back.IsEqual(theirs(t, secret)) || !group.Base(secret).Equal(c[0]) {
			t.Error("another secret comes back", err)
		}
	})
}
