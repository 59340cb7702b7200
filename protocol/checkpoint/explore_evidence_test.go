package checkpoint

import (
	"fmt"
	"slices"
	"testing"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/certificate"
)

// Over f dishonest clerks can make two values final. These tests have them do
// so, and show what is left that names them.

// splitHeight has liars tell one half of the honest clerks one value and the
// other half another. Honest clerks are real machines. It returns a certificate
// of each half and all that anybody said.
func splitHeight(t *testing.T, n int, liars []int, round func(half int) uint32) (certs [2]*certificate.Certificate, said []*Message) {
	var honest []int
	for clerk := range n {
		if !slices.Contains(liars, clerk) {
			honest = append(honest, clerk)
		}
	}
	for half := range certs {
		b := mustEncode(t, testValue(n, fmt.Sprint("value of half ", half)))
		h := Header{ValidRound: NoRound, Round: round(half), Value: protocol.Sum(b)}
		h.Kind, h.Clerk = KindProposal, Proposer(1, h.Round, n)
		if !slices.Contains(liars, h.Clerk) {
			t.Fatal("the attack takes a liar's turn")
		}
		said = append(said, parsed(t, n, h, b))
		for _, h.Kind = range []Kind{KindPrevote, KindPrecommit} {
			for _, h.Clerk = range liars {
				said = append(said, parsed(t, n, h, nil))
			}
		}
		certs[half], said = playHalf(t, n, honest[half*len(honest)/2:(half+1)*len(honest)/2], h, said)
	}
	return certs, said
}

// playHalf runs the clerks of one half on what was said of one value, and of
// nothing else, until nothing more comes of it.
func playHalf(t *testing.T, n int, half []int, h Header, said []*Message) (*certificate.Certificate, []*Message) {
	var cert *certificate.Certificate
	var step func(m *Machine, in Input)
	step = func(m *Machine, in Input) {
		out, _ := m.Step(in)
		for _, o := range out {
			switch o := o.(type) {
			case Broadcast:
				said = append(said, o.Message)
			case Judge:
				step(m, Judged{Value: o.ID, Fresh: o.Fresh, OK: true})
			case Accuse:
				t.Fatal("one half sees nothing wrong")
			case Decided:
				cert = &o.Certificate
			}
		}
	}
	var machines []*Machine
	for _, clerk := range half {
		m := testMachine(t, n, clerk)
		step(m, Start{})
		machines = append(machines, m)
	}
	for i := 0; i < len(said); i++ {
		if o := said[i].Header(); o.Round == h.Round && o.Value == h.Value {
			for _, m := range machines {
				step(m, Received{said[i]})
			}
		}
	}
	if cert == nil {
		t.Fatal("the attack failed, so the test shows nothing")
	}
	return cert, said
}

// witness is a machine that signs nothing and hears everything. It returns whom
// it accuses, by kind, each with evidence that holds.
func witness(t *testing.T, n int, said []*Message) map[Kind][]int {
	t.Helper()
	m, err := New(Config{Metastate: testMetastate, Height: 1, Clerks: testClerks(n)})
	if err != nil {
		t.Fatal(err)
	}
	m.Step(Start{})
	accused := map[Kind][]int{}
	for _, msg := range said {
		out, _ := m.Step(Received{msg})
		for _, o := range out {
			if a, ok := o.(Accuse); ok {
				convict(t, n, a.Evidence)
				accused[a.Evidence.Kind] = append(accused[a.Evidence.Kind], a.Evidence.Clerk)
			}
		}
	}
	for _, who := range accused {
		slices.Sort(who)
	}
	return accused
}

// convict has evidence hold after a journey.
func convict(t *testing.T, n int, e Evidence) {
	t.Helper()
	again, err := ParseEvidence(e.Encode())
	if err != nil {
		t.Fatal(err)
	}
	clerk, err := again.Verify(testMetastate, testClerks(n))
	if err != nil || clerk != testClerks(n)[e.Clerk] {
		t.Fatalf("evidence against clerk %d convicts %v, %v", e.Clerk, clerk, err)
	}
}

func firstClerks(k int) (who []int) {
	for i := range k {
		who = append(who, i+1)
	}
	return who
}

// SPEC §7.5 rule 2, one round: the two certificates alone name f+1 clerks, and
// no honest one.
func TestEvidenceOfOneRound(t *testing.T) {
	for _, n := range []int{4, 7, 10, 13} {
		f, _ := certificate.Quorum(n)
		liars := firstClerks(f + 1)
		certs, said := splitHeight(t, n, liars, func(int) uint32 { return 0 })
		for _, c := range certs {
			if _, err := c.Verify(testMetastate, certificate.Signers{Clerks: testClerks(n)}); err != nil {
				t.Fatal(err)
			}
		}
		if certs[0].ID() == certs[1].ID() {
			t.Fatal("one value")
		}
		for _, pair := range [][2]*certificate.Certificate{{certs[0], certs[1]}, {certs[1], certs[0]}} {
			var named []int
			for _, e := range Conflict(*pair[0], *pair[1]) {
				convict(t, n, e)
				named = append(named, e.Clerk)
			}
			if !slices.Equal(named, liars) {
				t.Errorf("of %d clerks %v are named, %v lied", n, named, liars)
			}
		}
		accused := witness(t, n, said)
		if !slices.Equal(accused[KindPrevote], liars) || !slices.Equal(accused[KindProposal], []int{1}) {
			t.Errorf("of %d clerks a witness accuses %v", n, accused)
		}
	}
}

// SPEC §7.5 rule 2, different rounds: nobody signed two messages of a kind in a
// round, so there is no evidence. But that locks were broken is plain from the
// votes of all rounds: those of both quorums precommitted one value and
// prevoted another later, and no quorum of prevotes between them excuses it.
func TestNoEvidenceAcrossRounds(t *testing.T) {
	const n = 4
	liars := []int{1, 2} // whose turns round 0 and round 1 are
	certs, said := splitHeight(t, n, liars, func(half int) uint32 { return uint32(half) })
	for _, c := range certs {
		if _, err := c.Verify(testMetastate, certificate.Signers{Clerks: testClerks(n)}); err != nil {
			t.Fatal(err)
		}
	}
	if certs[0].ID() == certs[1].ID() || certs[0].Round == certs[1].Round {
		t.Fatal("not two values in two rounds")
	}
	if e := Conflict(*certs[0], *certs[1]); len(e) != 0 {
		t.Errorf("evidence out of nothing: %+v", e)
	}
	if accused := witness(t, n, said); len(accused) != 0 {
		t.Errorf("a witness accuses %v", accused)
	}
	if who := lockBreakers(n, *certs[0], *certs[1], said); !slices.Equal(who, liars) {
		t.Errorf("%v broke locks by the votes of all rounds, %v did", who, liars)
	}

	// They may make an excuse: prevotes for the later value in the round of the
	// earlier. To be a quorum, those take f+1 clerks who prevoted both.
	b := certs[1].ID()
	for _, clerk := range []int{1, 2, 3} {
		said = append(said, parsed(t, n, Header{Kind: KindPrevote, Clerk: clerk, ValidRound: NoRound, Value: b}, nil))
	}
	if who := lockBreakers(n, *certs[0], *certs[1], said); len(who) != 0 {
		t.Errorf("%v broke locks, for all that there is an excuse", who)
	}
	if accused := witness(t, n, said); !slices.Equal(accused[KindPrevote], liars) {
		t.Errorf("the excuse convicts %v, want %v", accused, liars)
	}
}

// lockBreakers returns who precommitted the value of the earlier certificate,
// prevoted that of the later in a later round, and has no quorum of prevotes for
// it in the rounds between to show.
func lockBreakers(n int, earlier, later certificate.Certificate, said []*Message) (who []int) {
	_, q := certificate.Quorum(n)
	prevotes := map[uint32][]int{}
	for _, msg := range said {
		if h := msg.Header(); h.Kind == KindPrevote && h.Value == later.ID() {
			prevotes[h.Round] = append(prevotes[h.Round], h.Clerk)
		}
	}
	for round := earlier.Round; round < later.Round; round++ {
		if len(prevotes[round]) >= q {
			return nil
		}
	}
	for _, s := range earlier.Signatures {
		if slices.Contains(prevotes[later.Round], int(s.Clerk)) {
			who = append(who, int(s.Clerk))
		}
	}
	return who
}

// With f+1 liars, in every state of one round in which two values can be made
// final the certificates name both liars, and only them.
func TestEvidenceInEveryState(t *testing.T) {
	for _, liars := range [][]int{{0, 1}, {1, 2}, {1, 3}} { // one of them proposes
		x := newExplorer(newUniverse(t, setup{n: 4, liars: liars, rounds: 1, onlyFinal: true}))
		broken := 0
		x.onFinal = func(certs [3]*certificate.Certificate) bool {
			var named []int
			for _, e := range Conflict(*certs[1], *certs[2]) {
				convict(t, 4, e)
				named = append(named, e.Clerk)
			}
			if !slices.Equal(named, liars) {
				t.Errorf("%v are named, %v lied", named, liars)
			}
			broken++
			return !t.Failed()
		}
		x.deep = true // one worker
		x.run()
		if broken == 0 {
			t.Errorf("liars %v: agreement holds with f+1 of them", liars)
		}
		t.Logf("liars %v: %d states, two values final in %d", liars, x.seen.count.Load(), broken)
	}
}
