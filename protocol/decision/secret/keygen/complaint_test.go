package keygen

import (
	"errors"
	"slices"
	"testing"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/metastate-p2p/metastate/protocol/decision/secret/group"
	"github.com/metastate-p2p/metastate/protocol/decision/secret/proof"
)

// judged is the verdict that everybody reads from the bytes of a complaint.
func judged(t *testing.T, d *Deal, accuser int, c Complaint) Verdict {
	t.Helper()
	read, err := ParseComplaint(c.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	v, err := d.Judge(accuser, read)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// TestBadShare: whatever is wrong with a sealed share, its trustee sees it, and
// the complaint convicts the dealer for all.
func TestBadShare(t *testing.T) {
	b := newBoard(t, 1, 1)
	const victim = 3
	rho := sealingOf(b, b.deals[0])
	for what, spoil := range map[string]func(d *Deal){
		"another number":     func(d *Deal) { d.shares[victim-1] = d.seal(victim, number(5), rho) },
		"another's share":    func(d *Deal) { d.shares[victim-1] = d.shares[0] },
		"a box of noise":     func(d *Deal) { d.shares[victim-1][0] ^= 1 },
		"of another secret":  func(d *Deal) { d.shares[victim-1] = d.seal(victim, polynomialOf(b, b.deals[0]).at(victim), number(6)) },
		"the number plus L":  func(d *Deal) { d.shares[victim-1] = uncanonical(t, d, victim, rho) },
		"sealed to another":  func(d *Deal) { d.shares[victim-1] = d.seal(2, polynomialOf(b, b.deals[0]).at(victim), rho) },
		"of another's curve": func(d *Deal) { d.shares[victim-1] = d.seal(victim, polynomialOf(b, b.deals[1]).at(victim), rho) },
	} {
		d := *b.deals[0]
		d.shares = slices.Clone(d.shares)
		spoil(&d)
		bad, err := b.read(&d)
		if err != nil {
			t.Fatalf("%s: everybody sees it: %v", what, err)
		}
		if _, err := b.trustees[victim-1].Receive(bad); !errors.Is(err, ErrShare) {
			t.Errorf("%s: the trustee takes it: %v", what, err)
		}
		c, err := b.trustees[victim-1].Complain(bad)
		if err != nil {
			t.Fatal(err)
		}
		if v := judged(t, bad, victim, c); v != DealerGuilty {
			t.Errorf("%s: guilty is the %s", what, v)
		}
		if _, err := b.trustees[0].Receive(bad); err != nil {
			t.Errorf("%s: trustee 1 has nothing: %v", what, err)
		}
	}
}

// sealingOf is the secret that a deal's shares are sealed with.
func sealingOf(b *board, d *Deal) group.Scalar {
	return proof.Derive(&b.trustees[d.dealer-1].seed, "rho", d.bound()...)
}

// uncanonical seals the right share as a number at or above the order.
func uncanonical(t *testing.T, d *Deal, j int, rho group.Scalar) (s box) {
	t.Helper()
	k := d.key(j, d.roster.keys[j-1].Mul(rho))
	aead, err := chacha20poly1305.New(k[:])
	if err != nil {
		t.Fatal(err)
	}
	order := "\xed\xd3\xf5\x5c\x1a\x63\x12\x58\xd6\x9c\xf7\xa2\xde\xf9\xde\x14" +
		"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x10"
	aead.Seal(s[:0], noNonce[:], []byte(order), nil)
	return s
}

// TestFalseComplaint: who complains of a good share, or shows another than was
// sealed, is guilty.
func TestFalseComplaint(t *testing.T) {
	b := newBoard(t, 1, 1)
	d := b.deals[0]
	mine, err := b.trustees[1].Complain(d)
	if err != nil {
		t.Fatal(err)
	}
	if v := judged(t, d, 2, mine); v != AccuserGuilty {
		t.Errorf("of a good share: guilty is the %s", v)
	}
	if v := judged(t, d, 3, mine); v != AccuserGuilty {
		t.Errorf("another's complaint: guilty is the %s", v)
	}
	other := mine
	other.shared = other.shared.Add(group.Generator())
	if v := judged(t, d, 2, other); v != AccuserGuilty {
		t.Errorf("of what was not sealed: guilty is the %s", v)
	}
	other.proof = other.equality(d, 2).Prove(b.trustees[1].secret, seedOf(4))
	if v := judged(t, d, 2, other); v != AccuserGuilty {
		t.Errorf("with a proof made for it: guilty is the %s", v)
	}
	if _, err := b.deals[1].Judge(2, mine); err == nil {
		t.Error("a complaint is judged of another's deal")
	}
	for _, j := range []int{0, 5} {
		if _, err := d.Judge(j, mine); err == nil {
			t.Errorf("trustee %d may complain", j)
		}
	}
	if mine.Dealer() != 1 || d.Dealer() != 1 {
		t.Error("the dealer has another number")
	}
}

// TestComplaintOfOtherCommittee: what was proven there convicts nobody here.
func TestComplaintOfOtherCommittee(t *testing.T) {
	here, there := newBoard(t, 1, 1), newBoard(t, 2, 1)
	c, err := there.trustees[1].Complain(there.deals[0])
	if err != nil {
		t.Fatal(err)
	}
	if v := judged(t, here.deals[0], 2, c); v != AccuserGuilty {
		t.Errorf("guilty is the %s", v)
	}
}
