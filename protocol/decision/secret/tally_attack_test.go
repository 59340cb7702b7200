package secret

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"github.com/metastate-p2p/metastate/protocol/decision/secret/group"
	"github.com/metastate-p2p/metastate/protocol/decision/secret/proof"
)

func (p *poll) decrypt(t testing.TB, s Sealed, trustee int) []byte {
	t.Helper()
	body, err := p.Decrypt(p.shares[trustee-1], s, seedOf(77))
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// named requires that the share is refused and the trustee told.
func named(t *testing.T, what string, err error, trustee int) {
	t.Helper()
	if bad, ok := errors.AsType[*ShareError](err); !ok || bad.Trustee != trustee || bad.Error() == "" {
		t.Errorf("%s: %v", what, err)
	}
}

// TestBadShares: whatever is wrong with a share, its trustee is named, and the
// others finish.
func TestBadShares(t *testing.T) {
	p := newPoll(t, Shape{One, 0}, 2)
	s := p.sum(t, []uint8{1, 0}, []uint8{1, 0}, []uint8{0, 1})
	good := p.decrypt(t, s, 2)
	if len(good) != p.ShareSize() {
		t.Fatalf("a share has %d bytes, not %d", len(good), p.ShareSize())
	}
	for what, spoil := range map[string]func() []byte{
		"another trustee's":  func() []byte { return p.decrypt(t, s, 3) },
		"positions swapped":  func() []byte { return slices.Concat(good[factorSize:], good[:factorSize]) },
		"factors swapped":    func() []byte { return slices.Concat(good[96:128], good[32:96], good[:32], good[128:]) },
		"proofs swapped":     func() []byte { return slices.Concat(good[:32], good[128:], good[96:128], good[32:96]) },
		"cut":                func() []byte { return good[:len(good)-1] },
		"a position less":    func() []byte { return good[:factorSize] },
		"trailing byte":      func() []byte { return append(bytes.Clone(good), 0) },
		"nothing":            func() []byte { return nil },
		"a scalar raised":    func() []byte { return slices.Concat(good[:32], raised(good[32:64]), good[64:]) },
		"a response raised":  func() []byte { return slices.Concat(good[:64], raised(good[64:96]), good[96:]) },
		"no canonical point": func() []byte { return slices.Concat([]byte{1}, make([]byte, 31), good[32:]) },
	} {
		_, err := p.VerifyShare(2, s, spoil())
		named(t, what, err, 2)
	}
	for at := range good {
		bad := bytes.Clone(good)
		bad[at] ^= 1
		_, err := p.VerifyShare(2, s, bad)
		named(t, "a bit", err, 2)
	}
	if r := p.open(t, s, 1, 4); !slices.Equal(r.Sums, []uint64{2, 1}) {
		t.Errorf("the others open %v", r.Sums)
	}
	for _, j := range []int{0, 5} {
		if _, err := p.VerifyShare(j, s, good); err == nil {
			t.Errorf("there is a trustee %d", j)
		}
	}
}

// TestSharesAreBound: a share is of one set, sum and election, also where another
// has the same ciphertexts, so that only the hash tells them apart.
func TestSharesAreBound(t *testing.T) {
	p := newPoll(t, Shape{One, 0}, 2)
	s := p.sum(t, []uint8{1, 0}, []uint8{0, 1})
	good := p.decrypt(t, s, 2)
	set := s
	set.Set[0]++
	_, err := p.VerifyShare(2, set, good)
	named(t, "another set", err, 2)

	sum := p.sum(t, []uint8{1, 0}, []uint8{1, 0})
	_, err = p.VerifyShare(2, sum, good)
	named(t, "another sum", err, 2)

	terms := p.terms
	terms.Roll[0]++
	other := pollOf(t, terms, p.shares)
	same := s
	same.Sum.election = other.id
	_, err = other.VerifyShare(2, same, good)
	named(t, "another election", err, 2)

	// Both positions are one ciphertext, so that their factors are equal too.
	twice := s
	twice.Sum.sums = []proof.Ciphertext{s.Sum.sums[0], s.Sum.sums[0]}
	body := p.decrypt(t, twice, 2)
	if _, err := p.VerifyShare(2, twice, body); err != nil {
		t.Fatal(err)
	}
	_, err = p.VerifyShare(2, twice, slices.Concat(body[factorSize:], body[:factorSize]))
	named(t, "another position", err, 2)
}

// TestForgedFactor: a trustee that wants another result makes the factor fit a
// proof whose challenge it computed before. It is refused and named.
func TestForgedFactor(t *testing.T) {
	p := newPoll(t, Shape{One, 0}, 2)
	s := p.sum(t, []uint8{1, 0}, []uint8{0, 1})
	body := p.decrypt(t, s, 2)
	alpha := s.Sum.sums[0].A
	honest := p.shares[1].Times(alpha)
	// A true proof for a factor that is one vote off, and for the true factor.
	wrong := honest.Add(group.Generator())
	for what, x := range map[string]struct{ proven, sent group.Point }{
		"proven as sent":   {wrong, wrong},
		"proven otherwise": {honest, wrong},
		"sent otherwise":   {wrong, honest},
	} {
		equality, err := p.equality(s, 2, 0, x.proven)
		if err != nil {
			t.Fatal(err)
		}
		enc := x.sent.Bytes()
		forged := p.shares[1].Prove(equality, seedOf(3)).Append(enc[:])
		_, err = p.VerifyShare(2, s, append(forged, body[factorSize:]...))
		named(t, what, err, 2)
	}
}

// TestTooFewShares: k−1 trustees open nothing, the same one twice is one, and
// shares of another sum are none.
func TestTooFewShares(t *testing.T) {
	p := newPoll(t, Shape{One, 0}, 2)
	s := p.sum(t, []uint8{1, 0}, []uint8{0, 1})
	other := Sealed{[32]byte{8}, s.Sum}
	one, two := p.share(t, s, 1), p.share(t, s, 2)
	for what, shares := range map[string][]*Share{
		"none": nil, "one": {one}, "one twice": {one, one}, "one of another set": {one, p.share(t, other, 2)},
	} {
		if r, err := p.Result(s, shares); err == nil {
			t.Errorf("%s: opens %v", what, r)
		}
	}
	if r, err := p.Result(s, []*Share{two, one, two}); err != nil || !slices.Equal(r.Sums, []uint64{1, 1}) {
		t.Errorf("two: %v, %v", r, err)
	}
	// What one factor alone takes off is no small number.
	logs := newLogs(1000, 1)
	for _, weight := range []group.Scalar{group.Number(1), group.Number(2)} {
		if n, err := logs.of(s.Sum.sums[0].B.Sub(one.factors[0].Mul(weight))); err == nil {
			t.Errorf("one share opens %d", n)
		}
	}
	if one.Trustee() != 1 {
		t.Error("another's share")
	}
}

// TestAnyTwoAgree: whichever trustees open, and in whatever order, the result is
// one.
func TestAnyTwoAgree(t *testing.T) {
	p := newPoll(t, Shape{Ranking, 0}, 3)
	s := p.sum(t, []uint8{1, 2, 3}, []uint8{3, 1, 1}, []uint8{0, 0, 1})
	want := [][]uint64{{0, 1, 1}, {1, 0, 1}, {2, 1, 0}}
	for a := 1; a <= 4; a++ {
		for b := 1; b <= 4; b++ {
			if a == b {
				continue
			}
			if r := p.open(t, s, a, b); !slices.EqualFunc(r.Matrix, want, slices.Equal) {
				t.Errorf("trustees %d and %d open %v", a, b, r.Matrix)
			}
		}
	}
	if r := p.open(t, s, 1, 2, 3, 4); !slices.EqualFunc(r.Matrix, want, slices.Equal) {
		t.Errorf("all open %v", r.Matrix)
	}
}

// TestBelowLeast: no trustee opens a sum of fewer ballots than the terms want, and
// nobody takes a share of it.
func TestBelowLeast(t *testing.T) {
	p := newPoll(t, Shape{One, 0}, 2)
	terms := p.terms
	terms.Least = 3
	p = pollOf(t, terms, p.shares)
	few := p.sum(t, []uint8{1, 0}, []uint8{0, 1})
	if _, err := p.Decrypt(p.shares[0], few, seedOf(1)); !errors.Is(err, ErrFew) {
		t.Errorf("opened: %v", err)
	}
	if _, err := p.VerifyShare(1, few, make([]byte, p.ShareSize())); !errors.Is(err, ErrFew) {
		t.Errorf("taken: %v", err)
	}
	if _, err := p.Result(few, nil); !errors.Is(err, ErrFew) {
		t.Errorf("counted: %v", err)
	}
	enough := p.sum(t, []uint8{1, 0}, []uint8{0, 1}, []uint8{0, 1})
	if r := p.open(t, enough, 1, 2); !slices.Equal(r.Sums, []uint64{1, 2}) {
		t.Errorf("opens %v", r.Sums)
	}
}

// TestOtherKeys: a share of another committee's key, and a sum of another
// election, are not used.
func TestOtherKeys(t *testing.T) {
	p := newPoll(t, Shape{One, 0}, 2)
	_, others := committee(t, 2)
	s := p.sum(t, []uint8{1, 0})
	if _, err := p.Decrypt(others[0], s, seedOf(1)); err == nil {
		t.Error("decrypts with another key")
	}
	strange := s
	strange.Sum.election[0]++
	if _, err := p.Decrypt(p.shares[0], strange, seedOf(1)); err == nil {
		t.Error("decrypts another election's sum")
	}
}

// TestOutOfRange: a sum that so few ballots can't give is no result.
func TestOutOfRange(t *testing.T) {
	p := newPoll(t, Shape{One, 0}, 2)
	s := p.sum(t, []uint8{1, 0})
	s.Sum.sums = slices.Clone(s.Sum.sums)
	s.Sum.sums[1].B = s.Sum.sums[1].B.Add(group.Base(group.Number(2)))
	if r, err := p.Result(s, []*Share{p.share(t, s, 1), p.share(t, s, 2)}); !errors.Is(err, errLog) {
		t.Errorf("opens %v, %v", r, err)
	}
}
