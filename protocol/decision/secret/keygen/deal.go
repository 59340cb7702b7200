package keygen

import (
	"errors"
	"fmt"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/metastate-p2p/metastate/protocol/decision/secret/group"
	"github.com/metastate-p2p/metastate/protocol/decision/secret/proof"
)

// boxSize is the length of a sealed scalar.
const boxSize = group.Size + chacha20poly1305.Overhead

// A Commitment fixes a deal's points before they are shown.
type Commitment [32]byte

// A Deal is one dealer's polynomial: its coefficients in the open and its values
// sealed. One that exists holds all but, perhaps, what only those can see who
// open its shares.
type Deal struct {
	roster    *Roster
	dealer    int
	points    []group.Point // the coefficients, the constant first, times the generator
	proof     proof.Proof   // of the constant
	ephemeral group.Point   // what all shares are sealed with
	sealing   proof.Proof   // of its secret
	shares    []box         // of each trustee
}

// A box is a sealed scalar.
type box [boxSize]byte

// Dealer is the trustee who made it.
func (d *Deal) Dealer() int { return d.dealer }

// bound is what all that belongs to the deal is bound to.
func (d *Deal) bound() [][]byte { return [][]byte{d.roster.id[:], proof.U32(d.dealer)} }

// Commitment is what must have been published before.
func (d *Deal) Commitment() Commitment {
	return proof.Digest("commitment", append(d.bound(), encodings(d.points)...)...)
}

func encodings(points []group.Point) (list [][]byte) {
	for _, p := range points {
		b := p.Bytes()
		list = append(list, b[:])
	}
	return list
}

func (d *Deal) knowledge() proof.Knowledge {
	return proof.Knowledge{Label: "deal", Bound: append(d.bound(), encodings(d.points)...), X: d.points[0]}
}

// sealed is that the dealer knows the secret of what it seals with. Without it a
// dealer could take another deal's ephemeral key, or a multiple: a complaint shows
// what that times the accuser's secret is, and so the share in the other deal too.
func (d *Deal) sealed() proof.Knowledge {
	return proof.Knowledge{Label: "sealing", Bound: append(d.bound(), encodings(d.points)...), X: d.ephemeral}
}

// check refuses what anybody sees is wrong.
func (d *Deal) check(c Commitment) error {
	if d.Commitment() != c {
		return fmt.Errorf("keygen: deal of trustee %d: it is not the one committed to", d.dealer)
	}
	if d.points[0].IsIdentity() || !d.knowledge().Verify(d.proof) || d.ephemeral.IsIdentity() || !d.sealed().Verify(d.sealing) {
		return fmt.Errorf("keygen: deal of trustee %d: %w", d.dealer, errProof)
	}
	return nil
}

// valueAt is the value at j of the polynomial with these coefficients, all times
// the generator.
func valueAt(points []group.Point, j int) group.Point {
	powers := make([]group.Scalar, len(points))
	power := group.Number(1)
	for m := range powers {
		powers[m] = power
		power = power.Mul(group.Number(uint64(j)))
	}
	return group.VarTimeCombine(powers, points)
}

// key is for one box only, so that its nonce is zero.
func (d *Deal) key(j int, shared group.Point) [32]byte {
	list := append(d.bound(), proof.U32(j))
	return proof.Digest("box", append(list, encodings([]group.Point{d.roster.keys[j-1], d.ephemeral, shared})...)...)
}

var noNonce [chacha20poly1305.NonceSize]byte

// seal seals a share with the secret of the ephemeral key.
func (d *Deal) seal(j int, share, rho group.Scalar) (b box) {
	key, plain := d.key(j, d.roster.keys[j-1].Mul(rho)), share.Bytes()
	defer clear(key[:])
	defer clear(plain[:])
	aead, err := chacha20poly1305.New(key[:])
	if err != nil {
		panic("keygen: " + err.Error()) // of 32 bytes there is none
	}
	aead.Seal(b[:0], noNonce[:], plain[:], nil)
	return b
}

// open opens the share of trustee j with what its key and the box's share. It is
// the same for the trustee and for whoever judges.
func (d *Deal) open(j int, shared group.Point) (group.Scalar, error) {
	in := d.shares[j-1]
	key := d.key(j, shared)
	defer clear(key[:])
	aead, err := chacha20poly1305.New(key[:])
	if err != nil {
		panic("keygen: " + err.Error())
	}
	plain, err := aead.Open(nil, noNonce[:], in[:], nil)
	if err != nil {
		return group.Scalar{}, ErrShare
	}
	defer clear(plain)
	s, err := group.ParseScalar(plain)
	if err != nil || !group.Base(s).Equal(valueAt(d.points, j)) {
		return group.Scalar{}, ErrShare
	}
	return s, nil
}

// A Complaint opens the share of whoever complains of a deal.
type Complaint struct {
	dealer int
	shared group.Point // the deal's ephemeral key times the accuser's secret
	proof  proof.Proof
}

// Dealer is whose deal it complains of.
func (c Complaint) Dealer() int { return c.dealer }

func (c Complaint) equality(d *Deal, accuser int) proof.Equality {
	return proof.Equality{
		Label: "complaint", Bound: append(d.bound(), proof.U32(accuser)),
		X: d.roster.keys[accuser-1], P: d.ephemeral, Q: c.shared,
	}
}

// A Verdict is who is at fault after a complaint.
type Verdict string

// Verdicts.
const (
	DealerGuilty  Verdict = "dealer"  // the deal does not count
	AccuserGuilty Verdict = "accuser" // there was nothing to complain of, or it was not shown
)

// Judge settles a complaint of the trustee of that number, in the same way for
// everybody.
func (d *Deal) Judge(accuser int, c Complaint) (Verdict, error) {
	if err := d.roster.has(accuser); err != nil {
		return "", err
	}
	if c.dealer != d.dealer {
		return "", errors.New("keygen: the complaint is of another's deal")
	}
	if !c.equality(d, accuser).Verify(c.proof) {
		return AccuserGuilty, nil
	}
	s, err := d.open(accuser, c.shared)
	s.Erase()
	if err != nil {
		return DealerGuilty, nil
	}
	return AccuserGuilty, nil
}
