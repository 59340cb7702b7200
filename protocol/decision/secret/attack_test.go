package secret

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"github.com/metastate-p2p/metastate/protocol/decision/secret/group"
	"github.com/metastate-p2p/metastate/protocol/decision/secret/proof"
)

// TestCopiedBallot: a ballot is its voter's, with its seq, in its election; nobody
// else can send it, and it can't be sent again elsewhere.
func TestCopiedBallot(t *testing.T) {
	p := newPoll(t, Shape{One, 0}, 3)
	body := p.cast(t, voterOf(1), 0, 1, 0)
	if _, err := p.Verify(voterOf(1), body); err != nil {
		t.Fatal(err)
	}
	for what, by := range map[string]Voter{"another voter": voterOf(2), "another seq": {[32]byte{1}, 4}} {
		if _, err := p.Verify(by, body); !errors.Is(err, ErrBallot) {
			t.Errorf("copied by %s: %v", what, err)
		}
	}
	otherKeys, _ := committee(t, 2)
	for what, change := range map[string]func(t *Terms){
		"keys":     func(t *Terms) { t.Keys = otherKeys },
		"roll":     func(t *Terms) { t.Roll[31]++ },
		"question": func(t *Terms) { t.Question[31]++ },
		"method":   func(t *Terms) { t.Method = "methods" },
		"params":   func(t *Terms) { t.Params = []byte{0xa1} },
		"an option": func(t *Terms) {
			t.Options = slices.Clone(t.Options)
			t.Options[2] = "other"
		},
		"order":    func(t *Terms) { t.Options = []string{t.Options[1], t.Options[0], t.Options[2]} },
		"weighted": func(t *Terms) { t.Weighted = true },
		"opens":    func(t *Terms) { t.Opens++ },
		"closes":   func(t *Terms) { t.Closes++ },
		"least":    func(t *Terms) { t.Least++ },
	} {
		terms := p.terms
		change(&terms)
		other := pollOf(t, terms, p.shares)
		if _, err := other.Verify(voterOf(1), body); !errors.Is(err, ErrBallot) || other.ID() == p.ID() {
			t.Errorf("taken in an election with another %s: %v", what, err)
		}
	}
}

// TestElectionID: what does not show in ballots is in the id too.
func TestElectionID(t *testing.T) {
	keys, _ := committee(t, 1)
	terms := termsOf(keys, Shape{Scores, 2}, 2)
	e, err := NewElection(terms)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []Shape{{Scores, 3}, {Approvals, 0}, {Quadratic, 2}} {
		terms.Shape = s
		if other, err := NewElection(terms); err != nil || other.ID() == e.ID() {
			t.Errorf("%v has the same id: %v", s, err)
		}
	}
	// The same key, dealt differently: only the digest tells.
	a, _ := committee(t, 1)
	if other, err := NewElection(termsOf(a, Shape{Scores, 2}, 2)); err != nil || other.ID() != e.ID() {
		t.Error("equal terms have other ids", err)
	}
}

// regions cut a ballot into its ciphertexts and its branches.
func (p *poll) regions(body []byte) (ciphertexts, branches [][]byte) {
	n := p.layout.ciphertexts * proof.CiphertextSize
	return slices.Collect(slices.Chunk(body[:n], proof.CiphertextSize)), slices.Collect(slices.Chunk(body[n:], proof.Size))
}

// TestSwappedParts: no two ciphertexts, proofs, branches or halves of them can
// change places, also where both say the same.
func TestSwappedParts(t *testing.T) {
	for _, x := range []struct {
		shape Shape
		marks []uint8
	}{
		{Shape{One, 0}, []uint8{0, 1, 0}},
		{Shape{Approvals, 0}, []uint8{1, 1}},
		{Shape{Quadratic, 4}, []uint8{1, 1}},
		{Shape{Ranking, 0}, []uint8{1, 1, 1}},
	} {
		p := newPoll(t, x.shape, len(x.marks))
		body := p.cast(t, voterOf(1), x.marks...)
		ciphertexts, branches := p.regions(body)
		first := len(ciphertexts) * proof.CiphertextSize
		for _, region := range []struct {
			from, to, size int
		}{{0, first, proof.CiphertextSize}, {first, len(body), proof.Size}, {0, len(body), group.Size}} {
			parts := slices.Collect(slices.Chunk(body[region.from:region.to], region.size))
			for i := range parts {
				for j := range i {
					swapped := slices.Clone(parts)
					swapped[i], swapped[j] = swapped[j], swapped[i]
					whole := slices.Concat(body[:region.from], bytes.Join(swapped, nil), body[region.to:])
					if _, err := p.Verify(voterOf(1), whole); bytes.Equal(whole, body) || !errors.Is(err, ErrBallot) {
						t.Errorf("%v: parts %d and %d of %d bytes swapped: %v", x.shape, i, j, region.size, err)
					}
				}
			}
		}
		// Whole proofs of statements of one length.
		for i, at := 0, 0; i+1 < len(p.layout.statements); i++ {
			n, m := len(p.layout.statements[i].lists), len(p.layout.statements[i+1].lists)
			if n == m {
				swapped := slices.Concat(branches[:at], branches[at+n:at+2*n], branches[at:at+n], branches[at+2*n:])
				whole := append(bytes.Join(ciphertexts, nil), bytes.Join(swapped, nil)...)
				if _, err := p.Verify(voterOf(1), whole); !errors.Is(err, ErrBallot) {
					t.Errorf("%v: proofs %d and %d swapped: %v", x.shape, i, i+1, err)
				}
			}
			at += n
		}
	}
}

// TestMixedBallots: parts of two ballots, both of one voter and seq, are none.
func TestMixedBallots(t *testing.T) {
	p := newPoll(t, Shape{Approvals, 0}, 2)
	ca, ba := p.regions(p.cast(t, voterOf(1), 1, 1))
	cb, bb := p.regions(p.cast(t, voterOf(1), 0, 0))
	mixed := slices.Concat([][]byte{ca[0], cb[1]}, ba[:2], bb[2:])
	if _, err := p.Verify(voterOf(1), bytes.Join(mixed, nil)); !errors.Is(err, ErrBallot) {
		t.Errorf("a ballot of two is taken: %v", err)
	}
}

// forge makes a ballot of numbers as an honest prover would, claiming for each
// statement the list of that index.
func (p *poll) forge(by Voter, numbers []int64, claims []int) []byte {
	ciphertexts := make([]proof.Ciphertext, len(numbers))
	r := make([]group.Scalar, len(numbers))
	var body []byte
	for i, m := range numbers {
		r[i] = proof.Derive(seedOf(8), "forger", proof.U32(i))
		ciphertexts[i] = proof.Encrypt(p.terms.Keys.Public(), 0, r[i])
		ciphertexts[i].B = ciphertexts[i].B.Add(group.Base(group.Integer(m)))
		body = ciphertexts[i].Append(body)
	}
	context := p.context(by, ciphertexts)
	for i, s := range p.layout.statements {
		secret := make([]group.Scalar, len(s.of))
		for k, terms := range s.of {
			for _, t := range terms {
				secret[k] = secret[k].Add(r[t.at].Mul(group.Integer(t.times)))
			}
		}
		for _, b := range p.membership(context, i, ciphertexts).Prove(claims[i], secret, seedOf(8)) {
			body = b.Append(body)
		}
	}
	return body
}

// claims are the lists that are true, and the given one where none is.
func (p *poll) claims(numbers []int64, otherwise int) (claims []int, lies int) {
	for _, s := range p.layout.statements {
		at := slices.IndexFunc(s.lists, func(list []int64) bool {
			for i, terms := range s.of {
				sum := int64(0)
				for _, t := range terms {
					sum += t.times * numbers[t.at]
				}
				if sum != list[i] {
					return false
				}
			}
			return true
		})
		if at < 0 {
			at, lies = min(otherwise, len(s.lists)-1), lies+1
		}
		claims = append(claims, at)
	}
	return claims, lies
}

// TestForgedNumbers: ballots of numbers that the shape does not allow, made with
// all the care of an honest prover and whatever claims, are refused; the same
// prover's honest ballots are taken.
func TestForgedNumbers(t *testing.T) {
	for _, x := range []struct {
		what    string
		shape   Shape
		options int
		numbers []int64
		good    bool
	}{
		{"a choice of one", Shape{One, 0}, 3, []int64{0, 1, 0}, true},
		{"two chosen", Shape{One, 0}, 3, []int64{1, 1, 0}, false},
		{"one chosen twice", Shape{One, 0}, 3, []int64{2, 0, 0}, false},
		{"two for one, one against another", Shape{One, 0}, 3, []int64{2, -1, 0}, false},
		{"none chosen", Shape{One, 0}, 3, []int64{0, 0, 0}, false},
		{"approvals", Shape{Approvals, 0}, 3, []int64{1, 1, 0}, true},
		{"an approval of 2", Shape{Approvals, 0}, 3, []int64{2, 0, 0}, false},
		{"an approval of −1", Shape{Approvals, 0}, 3, []int64{0, -1, 0}, false},
		{"scores", Shape{Scores, 3}, 2, []int64{3, 0}, true},
		{"a score above the top", Shape{Scores, 3}, 2, []int64{4, 0}, false},
		{"a score of −1", Shape{Scores, 3}, 2, []int64{3, -1}, false},
		{"votes", Shape{Quadratic, 5}, 2, []int64{2, 4, 1, 1, 0, 0, 0}, true},
		{"votes and what is left", Shape{Quadratic, 5}, 2, []int64{1, 1, 0, 0, 0, 0, 1}, true},
		{"votes of no cost", Shape{Quadratic, 5}, 2, []int64{2, 0, 1, 1, 0, 0, 1}, false},
		{"votes beyond the credits", Shape{Quadratic, 5}, 2, []int64{2, 4, 2, 4, 1, 0, 0}, false},
		{"votes on a debt in bits", Shape{Quadratic, 5}, 2, []int64{2, 4, 2, 4, -1, -1, 0}, false},
		{"votes against", Shape{Quadratic, 5}, 2, []int64{-2, 4, 1, 1, 0, 0, 0}, false},
		{"more votes than the root", Shape{Quadratic, 5}, 2, []int64{3, 9, 0, 0, -2, -1, 0}, false},
		{"credits unspent and unsaid", Shape{Quadratic, 5}, 2, []int64{0, 0, 0, 0, 0, 0, 0}, false},
		{"a ranking", Shape{Ranking, 0}, 3, []int64{0, 1, 1, 1, 0, 1, 0, 0, 0}, true},
		{"a circle", Shape{Ranking, 0}, 3, []int64{0, 1, 2, 1, 0, 0, 1, 1, 0}, false},
		{"both above each other", Shape{Ranking, 0}, 3, []int64{0, 0, 0, 1, 1, 0, 0, 0, 0}, false},
		{"equal by rank, above by bit", Shape{Ranking, 0}, 3, []int64{0, 0, 1, 1, 0, 1, 0, 1, 0}, false},
		{"ranks too far apart", Shape{Ranking, 0}, 3, []int64{0, 1, 3, 1, 0, 1, 0, 1, 0}, false},
	} {
		p := newPoll(t, x.shape, x.options)
		if len(x.numbers) != p.layout.ciphertexts {
			t.Fatalf("%s: %d numbers, not %d", x.what, len(x.numbers), p.layout.ciphertexts)
		}
		for otherwise := range 4 {
			claims, lies := p.claims(x.numbers, otherwise)
			if (lies == 0) != x.good {
				t.Fatalf("%s: %d lies", x.what, lies)
			}
			_, err := p.Verify(voterOf(1), p.forge(voterOf(1), x.numbers, claims))
			if (err == nil) != x.good || err != nil && !errors.Is(err, ErrBallot) {
				t.Errorf("%s, claim %d: %v", x.what, otherwise, err)
			}
		}
	}
}

// raised is a scalar's encoding with the group's order added: the same number.
func raised(b []byte) []byte {
	order := "\xed\xd3\xf5\x5c\x1a\x63\x12\x58\xd6\x9c\xf7\xa2\xde\xf9\xde\x14" +
		"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x10"
	out, carry := make([]byte, len(b)), 0
	for i := range b {
		carry += int(b[i]) + int(order[i])
		out[i], carry = byte(carry), carry>>8
	}
	return out
}

// TestCanonical: every point and scalar of a ballot has one encoding.
func TestCanonical(t *testing.T) {
	p := newPoll(t, Shape{One, 0}, 2)
	body := p.cast(t, voterOf(1), 0, 1)
	refused := func(what string, at int, with []byte) {
		t.Helper()
		bad := bytes.Clone(body)
		copy(bad[at:], with)
		for how, read := range map[string]func() error{
			"decoded":  func() error { _, err := p.Decode(bad); return err },
			"verified": func() error { _, err := p.Verify(voterOf(1), bad); return err },
		} {
			if err := read(); !errors.Is(err, ErrBallot) {
				t.Errorf("%s at %d is %s: %v", what, at, how, err)
			}
		}
	}
	points := p.layout.ciphertexts * proof.CiphertextSize
	for at := 0; at < points; at += group.Size {
		refused("a negative point", at, append([]byte{1}, make([]byte, 31)...))
		refused("a point at the field's end", at, append([]byte{0xf3}, append(bytes.Repeat([]byte{255}, 30), 127)...))
	}
	for at := points; at < len(body); at += group.Size {
		refused("a scalar plus the order", at, raised(body[at:at+group.Size]))
	}
	for _, bad := range [][]byte{nil, body[:len(body)-1], body[:len(body)-64], append(bytes.Clone(body), 0), append(bytes.Clone(body), body[:64]...)} {
		if _, err := p.Verify(voterOf(1), bad); !errors.Is(err, ErrBallot) {
			t.Errorf("%d bytes are taken: %v", len(bad), err)
		}
	}
}

// TestBallotFlips: no bit of a ballot can be another.
func TestBallotFlips(t *testing.T) {
	p := newPoll(t, Shape{Approvals, 0}, 2)
	body := p.cast(t, voterOf(1), 0, 1)
	for at := range body {
		bad := bytes.Clone(body)
		bad[at] ^= 1 << (at % 8)
		if _, err := p.Verify(voterOf(1), bad); !errors.Is(err, ErrBallot) {
			t.Errorf("byte %d may be another: %v", at, err)
		}
	}
}
