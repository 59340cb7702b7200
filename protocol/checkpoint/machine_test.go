package checkpoint

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/certificate"
)

func testMachine(t testing.TB, n, self int) *Machine {
	t.Helper()
	m, err := New(Config{Metastate: testMetastate, Height: 1, Clerks: testClerks(n), Signer: testKey(self)})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestConfigRefuses(t *testing.T) {
	good := Config{Metastate: testMetastate, Height: 1, Clerks: testClerks(4), Signer: testKey(0)}
	for name, spoil := range map[string]func(*Config){
		"no metastate":     func(c *Config) { c.Metastate = protocol.ID{} },
		"no height":        func(c *Config) { c.Height = 0 },
		"prev at height 1": func(c *Config) { c.Prev = protocol.Sum(nil) },
		"no prev":          func(c *Config) { c.Height = 2 },
		"no clerks":        func(c *Config) { c.Clerks = nil },
		"too many clerks":  func(c *Config) { c.Clerks = testClerks(certificate.MaxClerks + 1) },
		"a stranger":       func(c *Config) { c.Signer = testKey(4) },
		"a key shared":     func(c *Config) { c.Clerks[1].Key = c.Clerks[0].Key },
	} {
		cfg := good
		cfg.Clerks = slices.Clone(good.Clerks)
		spoil(&cfg)
		if _, err := New(cfg); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

// Messages that are not of this machine's height, metastate or clerks never
// reach a rule.
func TestReceiveVerdicts(t *testing.T) {
	cfg := Config{Metastate: testMetastate, Height: 5, Prev: protocol.Sum(nil), Clerks: testClerks(4), Signer: testKey(0)}
	m, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	m.Step(Start{})
	vote := func(clerk int, height uint64, ms protocol.ID) *Message {
		return signMessage(testKey(clerk), ms, Header{Kind: KindPrevote, Clerk: clerk, Height: height, ValidRound: NoRound}, nil, protocol.ID{})
	}
	strangers := vote(7, 5, testMetastate)
	strangers.header.Clerk = 2 // as parsed with another clerk set
	for name, tc := range map[string]struct {
		msg  *Message
		want Verdict
	}{
		"earlier":    {vote(1, 4, testMetastate), HeightBehind},
		"later":      {vote(1, 6, testMetastate), HeightAhead},
		"foreign":    {vote(1, 5, protocol.Sum([]byte("another"))), Foreign},
		"stranger":   {strangers, Foreign},
		"no clerk":   {vote(5, 5, testMetastate), Foreign},
		"nil":        {nil, Foreign},
		"its height": {vote(1, 5, testMetastate), Accepted},
	} {
		if _, got := m.Step(Received{tc.msg}); got != tc.want {
			t.Errorf("%s: %v, want %v", name, got, tc.want)
		}
	}
}

// A value that follows another checkpoint is prevoted nil without a judge, and
// is not taken as this clerk's own.
func TestWrongPrev(t *testing.T) {
	v := testValue(4, "v")
	v.Height, v.Prev = 4, protocol.Sum([]byte("another"))
	b := mustEncode(t, v)
	cfg := Config{Metastate: testMetastate, Height: 4, Prev: protocol.Sum([]byte("prev")), Clerks: testClerks(4), Signer: testKey(1)}
	m, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	m.Step(Start{})
	h := Header{Kind: KindProposal, Clerk: 0, Height: 4, ValidRound: NoRound, Value: protocol.Sum(b)}
	msg, err := ParseMessage(testMetastate, cfg.Clerks, signMessage(testKey(0), testMetastate, h, b, protocol.ID{}).Bytes())
	if err != nil {
		t.Fatal(err)
	}
	out, _ := m.Step(Received{msg})
	if len(out) != 2 || !out[1].(Broadcast).Message.Header().Value.IsZero() {
		t.Errorf("%v, want a prevote for nil", out)
	}

	cfg.Signer = testKey(0)
	if m, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	m.Step(Start{})
	if _, verdict := m.Step(Propose{0, b}); verdict != Unfit {
		t.Errorf("own value: %v, want unfit", verdict)
	}
}

// A watcher signs nothing and stores nothing, and decides with the others.
func TestWatcher(t *testing.T) {
	m, err := New(Config{Metastate: testMetastate, Height: 1, Clerks: testClerks(4)})
	if err != nil {
		t.Fatal(err)
	}
	b := mustEncode(t, testValue(4, "v"))
	id := protocol.Sum(b)
	inputs := []Input{
		Start{},
		Received{parsed(t, 4, Header{Kind: KindProposal, Clerk: 1, Value: id, ValidRound: NoRound}, b)},
		Judged{id, true, true},
	}
	for clerk := 1; clerk < 4; clerk++ {
		inputs = append(inputs, Received{parsed(t, 4, Header{Kind: KindPrecommit, Clerk: clerk, Value: id, ValidRound: NoRound}, nil)})
	}
	var last Output
	for _, in := range inputs {
		out, _ := m.Step(in)
		for _, o := range out {
			switch last = o; o.(type) {
			case Persist, Broadcast, NeedValue:
				t.Fatalf("a watcher's output: %T", o)
			}
		}
	}
	if _, ok := last.(Decided); !ok {
		t.Errorf("ended with %T", last)
	}
}

func parsed(t testing.TB, n int, h Header, value []byte) *Message {
	t.Helper()
	m, err := ParseMessage(testMetastate, testClerks(n), signed(h, value))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestTimeoutsGrowAndEnd(t *testing.T) {
	var zero Timeouts
	for _, s := range []Step{StepPropose, StepPrevote, StepPrecommit} {
		last := time.Duration(0)
		for _, round := range []uint32{0, 1, 10, 100} {
			d := zero.after(s, round)
			if d <= last || d > maxTimeout {
				t.Errorf("%v of round %d: %v after %v", s, round, d, last)
			}
			last = d
		}
		huge := Timeouts{1 << 62, 1 << 62, 1 << 62, 1 << 62, 1 << 62, 1 << 62}
		if zero.after(s, certificate.MaxRound) != maxTimeout || huge.after(s, certificate.MaxRound) != maxTimeout {
			t.Errorf("%v: the cap does not hold", s)
		}
	}
	if d := (Timeouts{Propose: time.Second, ProposeDelta: time.Millisecond}).after(StepPropose, 7); d != 1007*time.Millisecond {
		t.Errorf("configured: %v", d)
	}
}

// A clerk that floods every round ahead, and one that floods the past, make a
// machine keep no more than its bound.
func TestFloodIsBounded(t *testing.T) {
	m := testMachine(t, 4, 0)
	m.Step(Start{})
	for round := uint32(1); round < 1000; round++ {
		for _, kind := range []Kind{KindPrevote, KindPrecommit} {
			h := Header{Kind: kind, Clerk: 3, Height: 1, Round: (round * 7919) % 5000, ValidRound: NoRound}
			m.Step(Received{signMessage(testKey(3), testMetastate, h, nil, protocol.ID{})})
		}
		if len(m.rounds) > 1+roundsAhead {
			t.Fatalf("messages of %d rounds kept for one clerk", len(m.rounds))
		}
	}
	if r, _ := m.Round(); r != 0 {
		t.Fatalf("one clerk dragged the machine to round %d", r)
	}
	m.at.round = 6000
	m.prune()
	for round := range uint32(500) {
		h := Header{Kind: KindPrevote, Clerk: 3, Height: 1, Round: round, ValidRound: NoRound}
		m.Step(Received{signMessage(testKey(3), testMetastate, h, nil, protocol.ID{})})
	}
	if len(m.rounds) != 0 {
		t.Errorf("messages of %d past rounds kept", len(m.rounds))
	}
}

// A machine that goes through many rounds forgets those that no rule needs.
func TestPastIsForgotten(t *testing.T) {
	m := testMachine(t, 4, 0)
	m.Step(Start{})
	for round := uint32(1); round < 60; round++ {
		for _, clerk := range []int{1, 2} {
			h := Header{Kind: KindPrecommit, Clerk: clerk, Round: round, ValidRound: NoRound}
			m.Step(Received{parsed(t, 4, h, nil)})
		}
		if at, _ := m.Round(); at != round {
			t.Fatalf("in round %d, want %d", at, round)
		}
		if len(m.rounds) > keptRounds+1+roundsAhead {
			t.Fatalf("messages of %d rounds kept in round %d", len(m.rounds), round)
		}
	}
}

// lab runs honest machines whose messages the test delivers by hand.
type lab struct {
	t        *testing.T
	machines []*Machine
	sent     []*Message
	decided  map[int]certificate.Certificate
}

func newLab(t *testing.T, n int) *lab {
	l := &lab{t: t, decided: map[int]certificate.Certificate{}}
	for i := range n {
		l.machines = append(l.machines, testMachine(t, n, i))
		l.step(i, Start{})
	}
	return l
}

// step feeds one input; values are made and judged valid at once.
func (l *lab) step(i int, in Input) {
	out, _ := l.machines[i].Step(in)
	for _, o := range out {
		switch o := o.(type) {
		case Broadcast:
			l.sent = append(l.sent, o.Message)
		case NeedValue:
			v := testValue(len(l.machines), fmt.Sprintf("round %d of %d", o.Round, i))
			l.step(i, Propose{o.Round, mustEncode(l.t, v)})
		case Judge:
			l.step(i, Judged{o.ID, o.Fresh, true})
		case Decided:
			l.decided[i] = o.Certificate
		}
	}
}

// deliver passes on all messages of a kind and round to the clerks named.
func (l *lab) deliver(kind Kind, round uint32, to ...int) {
	for _, m := range slices.Clone(l.sent) {
		if h := m.Header(); h.Kind == kind && h.Round == round {
			for _, i := range to {
				if i != h.Clerk {
					l.step(i, Received{m})
				}
			}
		}
	}
}

// The attack that the lock is there for. A alone sees the decision of round 0;
// D then proposes something else to B and C, who are a quorum with D.
func TestLockKeepsAgreement(t *testing.T) {
	l := newLab(t, 4)
	const liar = 3
	l.deliver(KindProposal, 0, 0, 1, 2, liar)
	l.deliver(KindPrevote, 0, 0, 1, 2)
	l.deliver(KindPrecommit, 0, 0)
	if len(l.decided) != 1 {
		t.Fatalf("%d clerks decided, want A alone", len(l.decided))
	}
	say := func(h Header, value []byte, to ...int) {
		h.Clerk, h.Height, h.ValidRound = liar, 1, NoRound
		m := signMessage(testKey(liar), testMetastate, h, value, protocol.ID{})
		for _, i := range to {
			l.step(i, Received{m})
		}
	}
	other := mustEncode(t, testValue(4, "another"))
	id := protocol.Sum(other)
	const round = 2 // D's turn
	for _, i := range []int{1, 2} {
		for r := range uint32(round) {
			for _, kind := range []Kind{KindPrevote, KindPrecommit} {
				say(Header{Kind: kind, Round: r}, nil, i)
			}
		}
	}
	for r := range uint32(round) {
		for _, kind := range []Kind{KindPrevote, KindPrecommit} {
			for _, i := range []int{1, 2} {
				l.step(i, TimedOut{StepPropose, r})
				l.step(i, TimedOut{StepPrevote, r})
			}
			if kind == KindPrevote {
				l.deliver(kind, r, 1, 2)
			}
		}
		for _, i := range []int{1, 2} { // two precommits of honest clerks and the liar's end the round
			for _, m := range slices.Clone(l.sent) {
				if h := m.Header(); h.Kind == KindPrecommit && h.Round == r && h.Clerk != 0 && h.Clerk != i {
					l.step(i, Received{m})
				}
			}
			l.step(i, TimedOut{StepPrecommit, r})
		}
	}
	for _, i := range []int{1, 2} {
		if r, _ := l.machines[i].Round(); r != round {
			t.Fatalf("clerk %d is in round %d, not in the liar's", i, r)
		}
	}
	say(Header{Kind: KindProposal, Round: round, Value: id}, other, 1, 2)
	for _, kind := range []Kind{KindPrevote, KindPrecommit} {
		say(Header{Kind: kind, Round: round, Value: id}, nil, 1, 2)
		l.deliver(kind, round, 1, 2)
	}
	for i, c := range l.decided {
		if c.ID() != l.decided[0].ID() {
			t.Fatalf("A decided %v, clerk %d %v", l.decided[0].ID(), i, c.ID())
		}
	}
}

// With f+1 clerks who double-sign, agreement is gone; the evidence is not.
func TestDoubleSignersAreNamed(t *testing.T) {
	values := [][]byte{mustEncode(t, testValue(4, "v")), mustEncode(t, testValue(4, "w"))}
	var certs []certificate.Certificate
	for half, self := range []int{0, 3} { // B and C tell each a different story
		m := testMachine(t, 4, self)
		id := protocol.Sum(values[half])
		inputs := []Input{
			Start{},
			Received{parsed(t, 4, Header{Kind: KindProposal, Clerk: 1, Value: id, ValidRound: NoRound}, values[half])},
			Judged{id, true, true},
		}
		for _, kind := range []Kind{KindPrevote, KindPrecommit} {
			for _, clerk := range []int{1, 2} {
				inputs = append(inputs, Received{parsed(t, 4, Header{Kind: kind, Clerk: clerk, Value: id, ValidRound: NoRound}, nil)})
			}
		}
		for _, in := range inputs {
			out, _ := m.Step(in)
			for _, o := range out {
				if d, ok := o.(Decided); ok {
					certs = append(certs, d.Certificate)
				}
			}
		}
	}
	if len(certs) != 2 || certs[0].ID() == certs[1].ID() {
		t.Fatal("the attack failed, so the test shows nothing")
	}
	var who []int
	for _, e := range Conflict(certs[0], certs[1]) {
		if _, err := e.Verify(testMetastate, testClerks(4)); err != nil {
			t.Fatal(err)
		}
		who = append(who, e.Clerk)
	}
	if f, _ := certificate.Quorum(4); !slices.Equal(who, []int{1, 2}) || len(who) < f+1 {
		t.Errorf("named %v, want B and C", who)
	}
}
