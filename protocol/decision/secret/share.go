package secret

import (
	"errors"
	"fmt"

	"github.com/metastate-p2p/metastate/protocol/decision/secret/group"
	"github.com/metastate-p2p/metastate/protocol/decision/secret/keygen"
	"github.com/metastate-p2p/metastate/protocol/decision/secret/proof"
)

// factorSize is the length of one decryption factor with its proof.
const factorSize = group.Size + proof.Size

// ErrFew is returned for a sum of fewer ballots than the terms want, which no
// trustee opens.
var ErrFew = errors.New("fewer ballots were cast than must be for their sum to be opened")

// A Sealed is what a trustee's share is of: an aggregate, and the digest of the
// sealed set of ballots that it is the sum of.
type Sealed struct {
	Set [32]byte
	Sum Aggregate
}

// check refuses what is not to be opened.
func (e *Election) check(s Sealed) error {
	if s.Sum.election != e.id {
		return errors.New("secret: the sum is of another election")
	}
	if s.Sum.ballots < e.terms.Least {
		return fmt.Errorf("secret: %w: %d of %d", ErrFew, s.Sum.ballots, e.terms.Least)
	}
	return nil
}

// equality is what a trustee proves of one factor: that it is the sum's first part
// times the secret of the trustee's public key.
func (e *Election) equality(s Sealed, trustee, position int, factor group.Point) (proof.Equality, error) {
	key, err := e.terms.Keys.Share(trustee)
	return proof.Equality{
		Label: "decryption",
		Bound: [][]byte{e.id[:], s.Set[:], e.terms.Question[:], proof.U32(position), proof.U32(trustee)},
		X:     key, P: s.Sum.sums[position].A, Q: factor,
	}, err
}

// Decrypt makes a trustee's share. Whoever calls it must know that the set is
// sealed, and never calls it for two sets of one election: their difference would
// be open too.
func (e *Election) Decrypt(x *keygen.Share, s Sealed, seed *[32]byte) ([]byte, error) {
	if err := e.check(s); err != nil {
		return nil, err
	}
	if key, err := e.terms.Keys.Share(x.Index()); err != nil || !x.Times(group.Generator()).Equal(key) {
		return nil, errors.New("secret: the share is not one of this election's key")
	}
	out := make([]byte, 0, e.ShareSize())
	for i, c := range s.Sum.sums {
		factor := x.Times(c.A)
		equality, err := e.equality(s, x.Index(), i, factor)
		if err != nil {
			return nil, err
		}
		enc := factor.Bytes()
		out = x.Prove(equality, seed).Append(append(out, enc[:]...))
	}
	return out, nil
}

// A Share is what a trustee made of a sealed sum, checked.
type Share struct {
	trustee int
	of      [32]byte
	factors []group.Point
}

// Trustee is who made it.
func (s *Share) Trustee() int { return s.trustee }

// A ShareError says which trustee's share does not hold. It is a fact about the
// bytes: everybody finds the same.
type ShareError struct {
	Trustee  int
	Position int // of the first factor that is wrong, or -1 for the share's length
}

func (e *ShareError) Error() string {
	if e.Position < 0 {
		return fmt.Sprintf("secret: the share of trustee %d is not as long as it must be", e.Trustee)
	}
	return fmt.Sprintf("secret: the share of trustee %d is wrong, at position %d", e.Trustee, e.Position)
}

// VerifyShare reads a trustee's share and refuses it with a [ShareError] unless
// the trustee's secret made it of this sum and set.
func (e *Election) VerifyShare(trustee int, s Sealed, body []byte) (*Share, error) {
	if err := e.check(s); err != nil {
		return nil, err
	}
	if _, err := e.terms.Keys.Share(trustee); err != nil {
		return nil, err
	}
	if len(body) != e.ShareSize() {
		return nil, &ShareError{trustee, -1}
	}
	out := &Share{trustee: trustee, of: e.sealed(s)}
	for i := 0; len(body) > 0; i, body = i+1, body[factorSize:] {
		factor, err := group.ParsePoint(body[:group.Size])
		if err != nil {
			return nil, &ShareError{trustee, i}
		}
		p, err := proof.Parse(body[group.Size:factorSize])
		if err != nil {
			return nil, &ShareError{trustee, i}
		}
		equality, err := e.equality(s, trustee, i, factor)
		if err != nil || !equality.Verify(p) {
			return nil, &ShareError{trustee, i}
		}
		out.factors = append(out.factors, factor)
	}
	return out, nil
}

// sealed tells sums and sets apart that shares are of.
func (e *Election) sealed(s Sealed) [32]byte {
	sum := s.Sum.Digest()
	return proof.Digest("sealed", s.Set[:], sum[:])
}
