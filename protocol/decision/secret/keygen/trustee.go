package keygen

import (
	"errors"
	"fmt"

	"github.com/metastate-p2p/metastate/protocol/decision/secret/group"
	"github.com/metastate-p2p/metastate/protocol/decision/secret/proof"
)

// A Trustee holds one trustee's secrets for one committee.
type Trustee struct {
	committee Committee
	index     int
	seed      [proof.SeedSize]byte
	secret    group.Scalar // of the announced key
}

// NewTrustee derives the secrets from 32 bytes of chance that are kept in secret
// until the share is not needed any more. One seed serves any number of
// committees.
func NewTrustee(c Committee, index int, seed *[proof.SeedSize]byte) (*Trustee, error) {
	if err := c.has(index); err != nil {
		return nil, err
	}
	t := &Trustee{committee: c, index: index, seed: *seed}
	t.secret = proof.Derive(seed, "trustee secret", c.id[:], proof.U32(index))
	return t, nil
}

// Erase overwrites the secrets.
func (t *Trustee) Erase() {
	clear(t.seed[:])
	t.secret.Erase()
}

// Announce is the trustee's first message.
func (t *Trustee) Announce() Announcement {
	a := Announcement{key: group.Base(t.secret)}
	a.proof = a.knowledge(t.committee, t.index).Prove(t.secret, &t.seed)
	return a
}

// A polynomial's coefficients are secret, the constant first.
type polynomial []group.Scalar

func (p polynomial) erase() {
	for i := range p {
		p[i].Erase()
	}
}

// at is the value at x (Horner).
func (p polynomial) at(x int) (v group.Scalar) {
	for i := len(p) - 1; i >= 0; i-- {
		v = v.Mul(group.Number(uint64(x))).Add(p[i])
	}
	return v
}

// Deal makes the trustee's deal, the same each time. Its [Deal.Commitment] is
// published first, and the deal when all commitments are fixed.
func (t *Trustee) Deal(r *Roster) (*Deal, error) {
	if err := t.in(r); err != nil {
		return nil, err
	}
	at := [][]byte{r.id[:], proof.U32(t.index)}
	var f polynomial
	defer func() { f.erase() }()
	d := &Deal{roster: r, dealer: t.index}
	for m := range r.K() {
		f = append(f, proof.Derive(&t.seed, "coefficient", append(at, proof.U32(m))...))
		d.points = append(d.points, group.Base(f[m]))
	}
	d.proof = d.knowledge().Prove(f[0], &t.seed)
	rho := proof.Derive(&t.seed, "rho", at...)
	defer rho.Erase()
	d.ephemeral = group.Base(rho)
	d.sealing = d.sealed().Prove(rho, &t.seed)
	for j := 1; j <= r.N(); j++ {
		share := f.at(j)
		d.shares = append(d.shares, d.seal(j, share, rho))
		share.Erase()
	}
	return d, nil
}

func (t *Trustee) in(r *Roster) error {
	if r.Committee != t.committee || !r.keys[t.index-1].Equal(group.Base(t.secret)) {
		return errors.New("keygen: the roster is not of the trustee's committee, or has another key for it")
	}
	return nil
}

// ErrShare is returned for a deal whose share for the trustee is none: it can
// [Trustee.Complain].
var ErrShare = errors.New("the deal's share does not fit its commitments")

// Receive opens the trustee's share of a deal and checks it.
func (t *Trustee) Receive(d *Deal) (*Share, error) {
	if err := t.in(d.roster); err != nil {
		return nil, err
	}
	s, err := d.open(t.index, d.ephemeral.Mul(t.secret))
	if err != nil {
		return nil, fmt.Errorf("keygen: deal of trustee %d for trustee %d: %w", d.dealer, t.index, err)
	}
	return &Share{t.index, s}, nil
}

// Complain opens the trustee's share of a deal to everybody.
func (t *Trustee) Complain(d *Deal) (Complaint, error) {
	if err := t.in(d.roster); err != nil {
		return Complaint{}, err
	}
	c := Complaint{dealer: d.dealer, shared: d.ephemeral.Mul(t.secret)}
	c.proof = c.equality(d, t.index).Prove(t.secret, &t.seed)
	return c, nil
}

// A Share is a trustee's part of a secret.
type Share struct {
	index int
	x     group.Scalar
}

// Share sums up the trustee's shares of the qualified deals.
func (t *Trustee) Share(k *Keys) (*Share, error) {
	sum := &Share{index: t.index}
	for _, d := range k.deals {
		s, err := t.Receive(d)
		if err != nil {
			sum.Erase()
			return nil, err
		}
		sum.x = sum.x.Add(s.x)
		s.Erase()
	}
	return sum, nil
}

// Index is the trustee's number.
func (s *Share) Index() int { return s.index }

// Times is the secret times a point: what decrypts a ciphertext.
func (s *Share) Times(p group.Point) group.Point { return p.Mul(s.x) }

// Prove proves a statement of the share's secret.
func (s *Share) Prove(e proof.Equality, seed *[proof.SeedSize]byte) proof.Proof {
	return e.Prove(s.x, seed)
}

// Erase overwrites the secret.
func (s *Share) Erase() { s.x.Erase() }
