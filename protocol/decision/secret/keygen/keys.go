package keygen

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/metastate-p2p/metastate/protocol/decision/secret/group"
	"github.com/metastate-p2p/metastate/protocol/decision/secret/proof"
)

// Keys are a committee's public keys.
type Keys struct {
	*Roster
	deals  []*Deal // the qualified, by rising dealer
	public group.Point
	shares []group.Point
	dealt  [32]byte
}

// NewKeys sums up the deals that qualified, in any order. At least K of them are
// needed, so that one is of a trustee who does not tell.
func NewKeys(r *Roster, qualified []*Deal) (*Keys, error) {
	k := &Keys{Roster: r, deals: slices.Clone(qualified)}
	if len(k.deals) < r.K() {
		return nil, fmt.Errorf("keygen: %d deals qualified, at least %d are needed", len(k.deals), r.K())
	}
	slices.SortFunc(k.deals, func(a, b *Deal) int { return cmp.Compare(a.dealer, b.dealer) })
	list, sum := [][]byte{r.id[:]}, make([]group.Point, r.K()) // of the polynomials
	for i, d := range k.deals {
		if d.roster.id != r.id || i > 0 && d.dealer == k.deals[i-1].dealer {
			return nil, fmt.Errorf("keygen: the deal of trustee %d is of another roster or stands twice", d.dealer)
		}
		list = append(append(list, proof.U32(d.dealer)), encodings(d.points)...)
		for m := range sum {
			sum[m] = sum[m].Add(d.points[m])
		}
	}
	k.public = sum[0]
	for j := 1; j <= r.N(); j++ {
		k.shares = append(k.shares, valueAt(sum, j))
	}
	if k.public.IsIdentity() || slices.ContainsFunc(k.shares, group.Point.IsIdentity) {
		return nil, errors.New("keygen: a key is the identity: the deals cancel out")
	}
	k.dealt = proof.Digest("dealt", list...)
	return k, nil
}

// Public is the key that ballots are encrypted under.
func (k *Keys) Public() group.Point { return k.public }

// Share is the public key of a trustee's share.
func (k *Keys) Share(trustee int) (group.Point, error) {
	if err := k.has(trustee); err != nil {
		return group.Point{}, err
	}
	return k.shares[trustee-1], nil
}

// Dealt is a digest of the roster and of the qualified deals' points.
func (k *Keys) Dealt() [32]byte { return k.dealt }
