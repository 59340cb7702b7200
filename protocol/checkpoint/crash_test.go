package checkpoint

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/certificate"
	"github.com/metastate-p2p/metastate/protocol/dagcbor"
)

// tempted is a clerk whose every signed word is written down. It crashes after
// a given number of outputs, and lives on in a world that now says otherwise.
type tempted struct {
	t       *testing.T
	cfg     Config
	machine *Machine
	disk    []byte
	left    int // outputs until the crash
	value   string
	answer  bool
	said    map[string]protocol.ID
	locked  map[uint32]protocol.ID // precommitted, by round
	made    []protocol.ID          // certificates
}

func (c *tempted) step(in Input) (crashed bool) {
	out, _ := c.machine.Step(in)
	var more []Input
	for _, o := range out {
		if c.left == 0 {
			c.left--
			return true
		}
		c.left--
		switch o := o.(type) {
		case Persist:
			c.disk = o.Record
		case Broadcast:
			c.hear(o.Message)
		case NeedValue:
			more = append(more, Propose{o.Round, mustEncode(c.t, testValue(len(c.cfg.Clerks), c.value))})
		case Judge:
			more = append(more, Judged{o.ID, o.Fresh, c.answer})
		case Decided:
			c.made = append(c.made, o.Certificate.ID())
		}
	}
	for _, in := range more {
		if c.step(in) {
			return true
		}
	}
	return false
}

// hear fails on a second, different message of one kind in one round, and on a
// prevote that breaks a lock that was spoken.
func (c *tempted) hear(m *Message) {
	h := m.Header()
	key := fmt.Sprint(h.Kind, h.Round)
	if was, ok := c.said[key]; ok && was != h.Value {
		c.t.Fatalf("signed two %vs in round %d", h.Kind, h.Round)
	}
	c.said[key] = h.Value
	if h.Kind == KindPrecommit && !h.Value.IsZero() {
		c.locked[h.Round] = h.Value
	}
	for round, id := range c.locked {
		if h.Kind == KindPrevote && h.Round > round && h.Value != id && !h.Value.IsZero() {
			c.t.Fatalf("prevoted in round %d against the lock of round %d", h.Round, round)
		}
	}
}

func (c *tempted) restart() {
	var err error
	if c.disk == nil {
		c.machine, err = New(c.cfg)
	} else {
		c.machine, err = Resume(c.cfg, c.disk)
	}
	if err != nil {
		c.t.Fatal(err)
	}
	c.step(Start{})
}

// temptations are inputs that lead a clerk without memory into saying
// otherwise, in rounds 0 and 1.
func temptations(t *testing.T, self int) []Input {
	var in []Input
	w := mustEncode(t, testValue(4, "w"))
	id := protocol.Sum(w)
	for round := range uint32(2) {
		p := Proposer(1, round, 4)
		if p != self {
			in = append(in, Received{parsed(t, 4, Header{Kind: KindProposal, Clerk: p, Round: round, Value: id, ValidRound: NoRound}, w)})
		}
		in = append(in, Judged{id, true, true}, Judged{id, false, true}, TimedOut{StepPropose, round})
		for _, kind := range []Kind{KindPrevote, KindPrecommit} {
			for clerk := range 4 {
				if clerk == self {
					continue
				}
				value := id
				if kind == KindPrecommit {
					value = protocol.ID{}
				} else if round == 1 && clerk == 0 {
					continue // no later quorum, which would free the lock
				}
				in = append(in, Received{parsed(t, 4, Header{Kind: kind, Clerk: clerk, Round: round, Value: value, ValidRound: NoRound}, nil)})
			}
			in = append(in, TimedOut{Step(kind - KindProposal), round})
		}
	}
	return in
}

// goodRound is what a clerk hears in a round 0 that ends without a decision.
func goodRound(t *testing.T, self int) []Input {
	v := mustEncode(t, testValue(4, "v"))
	id := protocol.Sum(v)
	var in []Input
	if self != 1 {
		in = append(in, Received{parsed(t, 4, Header{Kind: KindProposal, Clerk: 1, Value: id, ValidRound: NoRound}, v)})
	}
	for clerk := range 4 {
		if clerk != self {
			in = append(in, Received{parsed(t, 4, Header{Kind: KindPrevote, Clerk: clerk, Value: id, ValidRound: NoRound}, nil)})
		}
	}
	return in
}

// SPEC §7.4: killed between any two outputs, a clerk never contradicts what it
// may have sent.
func TestCrashAtEveryStep(t *testing.T) {
	for _, self := range []int{1, 2} { // the proposer of round 0, and of round 1
		crashes := 0
		for at := 0; ; at++ {
			c := &tempted{
				t: t, left: at, value: "v", answer: true,
				cfg:  Config{Metastate: testMetastate, Height: 1, Clerks: testClerks(4), Signer: testKey(self)},
				said: map[string]protocol.ID{}, locked: map[uint32]protocol.ID{},
			}
			c.machine, _ = New(c.cfg)
			crashed := false
			for _, in := range append([]Input{Start{}}, goodRound(t, self)...) {
				if crashed = c.step(in); crashed {
					break
				}
			}
			c.value = "another" // what it would propose now
			c.restart()
			for _, in := range temptations(t, self) {
				c.step(in)
			}
			if !crashed {
				break
			}
			crashes++
		}
		if crashes < 5 {
			t.Errorf("clerk %d crashed %d times: too few outputs to show anything", self, crashes)
		}
	}
}

// A lone clerk is killed at every output, and has another value in mind each
// time: it makes one value final, once and for all.
func TestCrashAlone(t *testing.T) {
	for at := range 6 {
		c := &tempted{
			t: t, left: at, value: "v", answer: true,
			cfg:  Config{Metastate: testMetastate, Height: 1, Clerks: testClerks(1), Signer: testKey(0)},
			said: map[string]protocol.ID{}, locked: map[uint32]protocol.ID{},
		}
		c.machine, _ = New(c.cfg)
		c.step(Start{})
		for i := range 3 {
			c.value, c.left = fmt.Sprint("another ", i), -1
			c.restart()
		}
		if len(c.made) < 3 || len(slices.Compact(c.made)) != 1 {
			t.Errorf("crash after %d outputs: %d certificates of %d values", at, len(c.made), len(slices.Compact(c.made)))
		}
	}
}

// A record that is damaged, another's or of another height is refused: a
// machine without its memory must not sign.
// What a clerk signed after one checkpoint is not gone on with after another.
func TestResumeOnAnotherBranch(t *testing.T) {
	cfg := Config{
		Metastate: testMetastate, Height: 2, Prev: protocol.Sum([]byte("here")), Clerks: testClerks(4), Signer: testKey(2),
	}
	m, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	m.Step(Start{})
	m.Step(TimedOut{Step: StepPropose})
	if _, err := Resume(cfg, m.record()); err != nil || len(m.own) != 1 {
		t.Fatalf("on its own: %v", err)
	}
	cfg.Prev = protocol.Sum([]byte("there"))
	if _, err := Resume(cfg, m.record()); !errors.Is(err, ErrOtherBranch) {
		t.Errorf("on another: %v", err)
	}
}

func TestResumeRefuses(t *testing.T) {
	cfg := Config{Metastate: testMetastate, Height: 1, Clerks: testClerks(4), Signer: testKey(2)}
	m, _ := New(cfg)
	var record []byte
	id := protocol.Sum(mustEncode(t, testValue(4, "v")))
	for _, in := range append(append([]Input{Start{}}, goodRound(t, 2)...), Judged{id, true, true}) {
		out, _ := m.Step(in)
		for _, o := range out {
			if p, ok := o.(Persist); ok {
				record = p.Record
			}
		}
	}
	again, err := Resume(cfg, record)
	if err != nil || len(again.own) != 2 || again.locked.id != id || len(again.proof) < 3 {
		t.Fatalf("the good record: %v", err)
	}
	other := cfg
	other.Signer = testKey(3)
	if _, err := Resume(other, record); !errors.Is(err, certificate.ErrMalformed) {
		t.Errorf("another clerk's: %v", err)
	}
	other = cfg
	other.Height, other.Prev = 2, protocol.Sum(nil)
	if _, err := Resume(other, record); !errors.Is(err, certificate.ErrMalformed) {
		t.Errorf("another height: %v", err)
	}
	other = cfg
	other.Metastate = protocol.Sum(nil)
	if _, err := Resume(other, record); !errors.Is(err, certificate.ErrMalformed) {
		t.Errorf("another metastate: %v", err)
	}
	other = cfg
	other.Signer = nil
	if _, err := Resume(other, record); !errors.Is(err, certificate.ErrMalformed) {
		t.Errorf("a watcher: %v", err)
	}
	w, err := decodeRecord(record)
	if err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*wireRecord){
		"version":         func(w *wireRecord) { w.Version++ },
		"own twice":       func(w *wireRecord) { w.Own = append(w.Own, w.Own[1]) },
		"own unordered":   func(w *wireRecord) { slices.Reverse(w.Own) },
		"own of others":   func(w *wireRecord) { w.Own[0] = w.Proof[0] },
		"another round":   func(w *wireRecord) { w.Round = 3 },
		"lock, no proof":  func(w *wireRecord) { w.Proof = nil },
		"proof too small": func(w *wireRecord) { w.Proof = w.Proof[:2] },
		"proof twice":     func(w *wireRecord) { w.Proof[1] = w.Proof[0] },
		"lock, no value":  func(w *wireRecord) { w.Valid, w.Proof = nil, nil },
		"locked later":    func(w *wireRecord) { w.Locked.Round = 1 },
		"later than now":  func(w *wireRecord) { w.Valid.Round = 1 },
		"another value":   func(w *wireRecord) { w.Valid.Value = mustEncode(t, testValue(4, "w")) },
		"passage of now":  func(w *wireRecord) { w.Passage = w.Proof },
	} {
		bad := w
		bad.Own, bad.Proof = slices.Clone(w.Own), slices.Clone(w.Proof)
		locked, valid := *w.Locked, *w.Valid
		bad.Locked, bad.Valid = &locked, &valid
		spoil(&bad)
		if _, err := Resume(cfg, dagcbor.Encode(bad)); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	for i := range record {
		if i%7 == 0 { // each byte is in a value, a signature or the form
			bad := slices.Clone(record)
			bad[i] ^= 1
			if m, err := Resume(cfg, bad); err == nil && string(m.record()) != string(bad) {
				t.Fatalf("byte %d changed: resumed as something else", i)
			}
		}
	}
}
