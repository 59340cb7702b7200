package keygen

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/metastate-p2p/metastate/protocol/decision/secret/group"
)

func TestSizes(t *testing.T) {
	for faults, want := range map[int][3]int{1: {4, 2, 3}, 2: {7, 3, 5}, 3: {10, 4, 7}, 10: {31, 11, 21}} {
		c, err := NewCommittee([32]byte{1}, faults)
		if err != nil || [3]int{c.N(), c.K(), c.Q()} != want {
			t.Errorf("%d faults: %d of %d, %d agree; %v", faults, c.K(), c.N(), c.Q(), err)
		}
	}
	for _, faults := range []int{-1, 0, 11} {
		if _, err := NewCommittee([32]byte{1}, faults); err == nil {
			t.Errorf("takes %d faults", faults)
		}
	}
}

// TestAnyOfThem: whichever deals qualify, any k shares are the key's secret, no
// k−1 are, and each share is that of its public key.
func TestAnyOfThem(t *testing.T) {
	boards := []*board{newBoard(t, 1, 1), newBoard(t, 2, 2)}
	rapid.Check(t, func(rt *rapid.T) {
		b := rapid.SampledFrom(boards).Draw(rt, "board")
		n := rapid.IntRange(b.committee.K(), b.committee.N()).Draw(rt, "qualified")
		k := b.keys(t, rapid.Permutation(b.deals).Draw(rt, "deals")[:n]...)
		order := rapid.Permutation(b.trustees).Draw(rt, "trustees")
		if !group.Base(interpolated(t, k, order[:b.committee.K()])).Equal(k.Public()) {
			rt.Error("k shares are not the secret")
		}
		if group.Base(interpolated(t, k, order[:b.committee.K()-1])).Equal(k.Public()) {
			rt.Error("k−1 shares are the secret")
		}
		for _, x := range b.trustees {
			s, err := x.Share(k)
			public, err2 := k.Share(x.index)
			if err != nil || err2 != nil || !s.Times(group.Generator()).Equal(public) || s.Index() != x.index {
				rt.Errorf("trustee %d: another share, %v, %v", x.index, err, err2)
			}
		}
	})
}

// TestRestart: a trustee that begins again from its seed says the same.
func TestRestart(t *testing.T) {
	b := newBoard(t, 1, 1)
	again, err := NewTrustee(b.committee, 2, seedOf(2))
	if err != nil {
		t.Fatal(err)
	}
	d, err := again.Deal(b.roster)
	if err != nil || !slices.Equal(d.Bytes(), b.deals[1].Bytes()) || !slices.Equal(again.Announce().Bytes(), b.announced[1].Bytes()) {
		t.Error("other messages after a restart", err)
	}
	other := newBoard(t, 2, 1)
	if slices.Equal(other.deals[1].Bytes(), d.Bytes()) || other.announced[1].key.Equal(b.announced[1].key) {
		t.Error("one seed has the same secrets in two committees")
	}
	if _, err := again.Deal(other.roster); err == nil {
		t.Error("deals for another committee's roster")
	}
	if _, err := again.Receive(other.deals[0]); err == nil {
		t.Error("receives another committee's deal")
	}
	if _, err := again.Complain(other.deals[0]); err == nil {
		t.Error("complains of another committee's deal")
	}
}

// TestOffline: the f trustees who are away from their announcement on have their
// shares when they come back, and dealt nothing.
func TestOffline(t *testing.T) {
	b := newBoard(t, 1, 1)
	k := b.keys(t, b.deals[0], b.deals[1], b.deals[2])
	if !group.Base(interpolated(t, k, []*Trustee{b.trustees[3], b.trustees[0]})).Equal(k.Public()) {
		t.Error("who was away has no share")
	}
}

// TestRogueKey: nobody announces a key it does not know the secret of.
func TestRogueKey(t *testing.T) {
	b, other := newBoard(t, 1, 1), newBoard(t, 2, 1)
	for what, forge := range map[string]func(all []Announcement){
		"another's":             func(all []Announcement) { all[1] = all[0] },
		"another committee's":   func(all []Announcement) { all[1] = other.announced[1] },
		"shifted, proof kept":   func(all []Announcement) { all[1].key = all[1].key.Sub(all[0].key) },
		"the identity":          func(all []Announcement) { all[1] = forgedIdentity(b.committee, 2) },
		"without proof":         func(all []Announcement) { all[1] = Announcement{key: all[1].key} },
		"swapped with the next": func(all []Announcement) { all[1], all[2] = all[2], all[1] },
	} {
		all := slices.Clone(b.announced)
		if forge(all); func() bool { _, err := NewRoster(b.committee, all); return err == nil }() {
			t.Errorf("a key that is %s is taken", what)
		}
	}
	twin, err := NewTrustee(b.committee, 2, seedOf(2))
	if err != nil {
		t.Fatal(err)
	}
	twin.secret = b.trustees[0].secret
	all := slices.Clone(b.announced)
	all[1] = twin.Announce()
	for _, all := range [][]Announcement{all, b.announced[:3], append(slices.Clone(b.announced), b.announced[0]), nil} {
		if _, err := NewRoster(b.committee, all); err == nil {
			t.Errorf("a roster of %d keys is taken", len(all))
		}
	}
	if _, err := NewRoster(Committee{}, nil); err == nil {
		t.Error("a roster of no committee is taken")
	}
}

// forgedIdentity knows the secret 0.
func forgedIdentity(c Committee, index int) Announcement {
	x := &Trustee{committee: c, index: index}
	return x.Announce()
}

// TestRogueDealer: nobody deals a constant whose secret it does not know, so
// nobody chooses the sum.
func TestRogueDealer(t *testing.T) {
	b := newBoard(t, 1, 1)
	mine := group.Base(number(42)) // is to be the committee's key
	d := *b.deals[3]
	d.points = slices.Clone(d.points)
	d.points[0] = mine
	for _, x := range b.deals[:3] {
		d.points[0] = d.points[0].Sub(x.points[0])
	}
	for what, forge := range map[string]func(d *Deal){
		"the old proof":     func(*Deal) {},
		"another's proof":   func(d *Deal) { d.proof = b.deals[0].proof },
		"one of the target": func(d *Deal) { d.proof = d.knowledge().Prove(number(42), seedOf(1)) },
	} {
		d := d
		forge(&d)
		if _, err := b.read(&d); err == nil {
			t.Errorf("a rogue dealer is taken with %s", what)
		}
	}
	zero := *b.deals[3]
	zero.points = append([]group.Point{{}}, zero.points[1:]...)
	zero.proof = zero.knowledge().Prove(group.Scalar{}, seedOf(1))
	if _, err := b.read(&zero); err == nil {
		t.Error("the constant 0 is taken")
	}
	if _, err := b.read(b.deals[3]); err != nil {
		t.Error(err)
	}
}

// TestRevealMustMatch: a deal is the one committed to, by its dealer, for its
// roster, with all its points.
func TestRevealMustMatch(t *testing.T) {
	b, other := newBoard(t, 1, 1), newBoard(t, 2, 1)
	d := b.deals[0]
	for what, try := range map[string]func() (*Deal, error){
		"another commitment": func() (*Deal, error) { return ParseDeal(b.roster, 1, b.deals[1].Commitment(), d.Bytes()) },
		"another dealer":     func() (*Deal, error) { return ParseDeal(b.roster, 2, d.Commitment(), d.Bytes()) },
		"another roster":     func() (*Deal, error) { return ParseDeal(other.roster, 1, d.Commitment(), d.Bytes()) },
		"dealer 0":           func() (*Deal, error) { return ParseDeal(b.roster, 0, d.Commitment(), d.Bytes()) },
		"dealer 5":           func() (*Deal, error) { return ParseDeal(b.roster, 5, d.Commitment(), d.Bytes()) },
		// The dealer's own proof, for a deal that is copied under its number.
		"a copied deal": func() (*Deal, error) {
			c := *b.deals[1]
			c.dealer = 1
			return b.read(&c)
		},
		"one more coefficient": func() (*Deal, error) { return b.reshaped(d, 1, 0) },
		"one coefficient less": func() (*Deal, error) { return b.reshaped(d, -1, 0) },
		"one more share":       func() (*Deal, error) { return b.reshaped(d, 0, 1) },
		"one share less":       func() (*Deal, error) { return b.reshaped(d, 0, -1) },
	} {
		if _, err := try(); err == nil {
			t.Errorf("taken with %s", what)
		}
	}
	swapped := *d
	swapped.points = []group.Point{d.points[0], b.deals[1].points[1]}
	if _, err := ParseDeal(b.roster, 1, swapped.Commitment(), swapped.Bytes()); err == nil {
		t.Error("the proof holds for other coefficients")
	}
}

// reshaped has more or fewer points and shares, and is otherwise well made.
func (b *board) reshaped(d *Deal, points, shares int) (*Deal, error) {
	x := *d
	x.points = append(slices.Clone(d.points), group.Generator())[:len(d.points)+points]
	x.shares = append(slices.Clone(d.shares), d.shares[0])[:len(d.shares)+shares]
	x.proof = x.knowledge().Prove(polynomialOf(b, d)[0], seedOf(1))
	return b.read(&x)
}

// polynomialOf is the secret of a deal, by its values at 1 and 2.
func polynomialOf(b *board, d *Deal) polynomial {
	var v [2]group.Scalar
	for j := range v {
		s, err := b.trustees[j].Receive(d)
		if err != nil {
			panic(err)
		}
		v[j] = s.x
	}
	slope := v[1].Sub(v[0])
	return polynomial{v[0].Sub(slope), slope}
}

func TestKeysRefuse(t *testing.T) {
	b, other := newBoard(t, 1, 1), newBoard(t, 2, 1)
	for what, deals := range map[string][]*Deal{
		"too few": b.deals[:1], "none": nil, "one twice": {b.deals[0], b.deals[0]}, "another roster's": {b.deals[0], other.deals[1]},
	} {
		if _, err := NewKeys(b.roster, deals); err == nil {
			t.Errorf("deals are taken: %s", what)
		}
	}
	// Two dealers who know each other's polynomials cancel out.
	minus := *b.deals[1]
	minus.points = nil
	for _, p := range b.deals[0].points {
		minus.points = append(minus.points, group.Point{}.Sub(p))
	}
	if _, err := NewKeys(b.roster, []*Deal{b.deals[0], &minus}); err == nil {
		t.Error("the identity is taken for a key")
	}
	k := b.keys(t, b.deals...)
	for _, j := range []int{-1, 0, 5} {
		if _, err := k.Share(j); err == nil {
			t.Errorf("there is a trustee %d", j)
		}
		if _, err := NewTrustee(b.committee, j, seedOf(1)); err == nil {
			t.Errorf("there may be a trustee %d", j)
		}
	}
}

// TestDealt: the digest is of the deals and not of their order.
func TestDealt(t *testing.T) {
	b := newBoard(t, 1, 1)
	k := b.keys(t, b.deals...)
	if b.keys(t, b.deals[3], b.deals[1], b.deals[0], b.deals[2]).Dealt() != k.Dealt() {
		t.Error("the order of deals is in the digest")
	}
	if b.keys(t, b.deals[:3]...).Dealt() == k.Dealt() {
		t.Error("one deal less has the same digest")
	}
}

func TestErase(t *testing.T) {
	b := newBoard(t, 1, 1)
	s, err := b.trustees[0].Share(b.keys(t, b.deals...))
	if err != nil {
		t.Fatal(err)
	}
	f := polynomial{number(3), number(4)}
	s.Erase()
	f.erase()
	b.trustees[0].Erase()
	zero := group.Scalar{}
	if s.x != zero || f[0] != zero || f[1] != zero || b.trustees[0].secret != zero || b.trustees[0].seed != [32]byte{} {
		t.Error("a secret is left")
	}
}
