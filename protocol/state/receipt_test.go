package state_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/roll"
	"github.com/metastate-p2p/metastate/protocol/state"
	"github.com/metastate-p2p/metastate/protocol/state/statetest"
)

// shelf is what a node holds, in memory.
type shelf struct {
	records     map[protocol.ID]protocol.Header
	checkpoints map[uint64]protocol.ID
	covered     map[protocol.ID]bool // though not held
	began       uint64
}

func (s shelf) Covered(id protocol.ID) bool { return s.covered[id] }

func (s shelf) Began() uint64 { return s.began }

func (s shelf) Header(id protocol.ID) (protocol.Header, bool) {
	h, ok := s.records[id]
	return h, ok
}

func (s shelf) CheckpointID(height uint64) (protocol.ID, bool) {
	id, ok := s.checkpoints[height]
	return id, ok
}

// A reception is a node at checkpoint 3: dana came at 2, an invite (door) and
// two polls (open, shut) stand.
type reception struct {
	*testing.T
	w          *statetest.World
	s          *state.State
	held       shelf
	refs       []protocol.Ref // by height
	open, shut protocol.ID
	admission  *protocol.Record
}

func receive(t *testing.T) *reception {
	w := statetest.New(t, statetest.Charter(t), "alice", "bob", "gina")
	s, err := state.Begin(w.Genesis)
	if err != nil {
		t.Fatal(err)
	}
	x := &reception{
		T: t, w: w, s: s, refs: []protocol.Ref{{}},
		held: shelf{records: map[protocol.ID]protocol.Header{}, checkpoints: map[uint64]protocol.ID{}},
	}
	x.cover(0, w.Founding("alice", "bob")...)
	i := w.Invite("alice", "door", 9, statetest.Start+1e6, statetest.How{})
	open := w.Propose("alice", "open", "ordinary", 1e6, statetest.How{})
	shut := w.Propose("alice", "shut", "ordinary", 1, statetest.How{})
	x.admission = w.Admit("alice", "dana", "door", i.ID(), statetest.How{})
	x.open, x.shut = open.ID(), shut.ID()
	x.cover(1, i, open, shut, x.admission)
	x.cover(10, w.Propose("bob", "more", "ordinary", 1e6, statetest.How{}))
	return x
}

func (x *reception) cover(asOf int64, records ...*protocol.Record) {
	x.s, _ = x.s.Advance(state.Step{Records: records, AsOf: statetest.Start + asOf})
	ref := protocol.Ref{Height: x.s.Height(), ID: protocol.Sum([]byte{byte(x.s.Height())})}
	x.refs = append(x.refs, ref)
	x.held.checkpoints[ref.Height] = ref.ID
	x.w.Cover(ref, records...)
	x.hold(records...)
}

func (x *reception) hold(records ...*protocol.Record) {
	for _, r := range records {
		x.held.records[r.ID()] = r.Header()
	}
}

// says gives a record to the node and requires its answer: "" to keep it, or
// words of its refusal.
func (x *reception) says(r *protocol.Record, words string) {
	x.Helper()
	err := x.s.Receive(r, x.held)
	var missing *state.Missing
	switch {
	case words == "" && err == nil:
	case err == nil:
		x.Errorf("kept, should be refused: %s", words)
	case words == "" || errors.As(err, &missing) || !errors.Is(err, state.ErrRefused) || !strings.Contains(err.Error(), words):
		x.Errorf("got %v, want a refusal that says %q", err, words)
	}
}

// misses requires that the node asks for these first.
func (x *reception) misses(r *protocol.Record, checkpoint uint64, records ...protocol.ID) {
	x.Helper()
	err := x.s.Receive(r, x.held)
	var missing *state.Missing
	if !errors.As(err, &missing) {
		x.Fatalf("got %v, want it to ask for what is missing", err)
	}
	slices.SortFunc(records, protocol.ID.Compare)
	slices.SortFunc(missing.Records, protocol.ID.Compare)
	if missing.Checkpoint != checkpoint || !slices.Equal(missing.Records, records) || errors.Is(err, state.ErrRefused) {
		x.Errorf("asks for checkpoint %d and %v, want %d and %v", missing.Checkpoint, missing.Records, checkpoint, records)
	}
}

func (x *reception) leave(by string, how statetest.How) *protocol.Record {
	return x.w.Record(by, protocol.Leave, roll.LeaveBody{}, how)
}

// sign draws a record whose header a test has changed.
func (x *reception) sign(r *protocol.Record, change func(*protocol.Header), keys ...identity.Signer) *protocol.Record {
	x.Helper()
	h := r.Header()
	h.Parents = slices.Clone(h.Parents)
	change(&h)
	out, err := protocol.Sign(h, map[string]int{}, nil, keys...)
	if err != nil {
		x.Fatal(err)
	}
	return out
}

func TestReceiveKeeps(t *testing.T) {
	x := receive(t)
	p := x.w.Propose("dana", "a", "ordinary", 1e6, statetest.How{})
	x.says(p, "")
	x.hold(p)
	x.says(x.w.Propose("dana", "b", "ordinary", 1e6, statetest.How{}), "")
	x.says(x.w.Ballot("dana", x.open, "yes", statetest.How{}), "")
	x.says(x.leave("dana", statetest.How{Fork: true}), "") // a rival: how many, the ledger knows
	x.says(x.w.Grant("dana", "dana/phone", statetest.How{}), "")
	x.says(x.w.Record("bob", "poetry", map[string]int{"x": 1}, statetest.How{}), "")
}

func TestReceiveOtherMetastates(t *testing.T) {
	x := receive(t)
	c := statetest.Charter(t)
	c.Suspend = 1
	other := statetest.New(t, c, "alice", "bob")
	x.says(other.Genesis, "another genesis")
	x.says(x.w.Genesis, "another genesis")
	other.Founding("alice", "bob")
	other.Ref = x.w.Ref
	x.says(other.Propose("alice", "a", "ordinary", 1, statetest.How{}), "another metastate")
	x.says(other.Founder("alice", 0)[0], "another metastate")
}

func TestReceiveCheckpoint(t *testing.T) {
	x := receive(t)
	h := func(ref protocol.Ref) *protocol.Record { return x.leave("dana", statetest.How{Fork: true, Ref: ref}) }
	x.says(h(x.refs[3]), "")
	x.says(h(x.refs[2]), "")
	x.says(h(protocol.Ref{Height: 3, ID: protocol.Sum(nil)}), "not final here")
	x.misses(h(protocol.Ref{Height: 4, ID: protocol.Sum(nil)}), 4)
	x.w.Ref = protocol.Ref{}
	x.says(h(protocol.Ref{}), "cites no checkpoint")
	x.says(x.w.Ballot("dana", x.open, "yes", statetest.How{}), "cites no checkpoint")
	x.says(x.w.Grant("dana", "dana/phone", statetest.How{}), "")
}

func TestReceiveCheckpointGoesBack(t *testing.T) {
	x := receive(t)
	p := x.w.Propose("dana", "a", "ordinary", 1e6, statetest.How{})
	x.hold(p)
	x.says(x.w.Propose("dana", "b", "ordinary", 1e6, statetest.How{Ref: x.refs[2]}), "older checkpoint than the record before it")
}

func TestReceiveAncestors(t *testing.T) {
	x := receive(t)
	a := x.w.Propose("bob", "a", "ordinary", 1e6, statetest.How{})
	b := x.w.Propose("dana", "b", "ordinary", 1e6, statetest.How{})
	c := x.w.Propose("dana", "c", "ordinary", 1e6, statetest.How{After: []*protocol.Record{a}})
	x.misses(c, 0, a.ID(), b.ID(), b.ID()) // as parent and as the record before it
	x.hold(b)
	x.misses(c, 0, a.ID())
	x.hold(a)
	x.says(c, "")
	v := x.w.Ballot("dana", x.open, "yes", statetest.How{})
	x.hold(v)
	x.says(x.w.Propose("dana", "d", "ordinary", 1e6, statetest.How{Fork: true, After: []*protocol.Record{v}}), "on the bulk plane")
}

func TestReceiveChain(t *testing.T) {
	x := receive(t)
	dana := statetest.Key("device/dana")
	a := x.w.Propose("bob", "a", "ordinary", 1e6, statetest.How{})
	b := x.w.Propose("dana", "b", "ordinary", 1e6, statetest.How{})
	c := x.w.Propose("dana", "c", "ordinary", 1e6, statetest.How{})
	v := x.w.Ballot("dana", x.open, "yes", statetest.How{})
	x.hold(a, b, v)
	const not = "does not follow the record"
	x.says(x.sign(c, func(h *protocol.Header) { h.Seq = 2 }, dana), not)
	x.says(x.sign(c, func(h *protocol.Header) { h.Prev, h.Seq = a.ID(), a.Header().Seq+1 }, dana), not)
	x.says(x.sign(c, func(h *protocol.Header) { h.Prev = v.ID() }, dana), not)
	// The end of the persona's chain is inside an admission, and is no place
	// for a device's records to begin from: they could skip numbers, and the
	// quota with them.
	end := x.s.Roll().Member(x.w.Persona("dana")).Keys.Chain.Head
	x.misses(x.sign(c, func(h *protocol.Header) { h.Prev, h.Seq = end, 200 }, dana), 0, end)
	x.misses(x.sign(c, func(h *protocol.Header) { h.Prev, h.Seq = end, x.s.Roll().Member(x.w.Persona("dana")).Keys.Chain.Next }, dana), 0, end)
	phone := x.w.Grant("dana", "dana/phone", statetest.How{})
	key, dev := statetest.Key("persona/dana"), statetest.Key("device/dana/phone")
	x.says(x.sign(phone, func(*protocol.Header) {}, key, dev), "")
	x.misses(x.sign(phone, func(h *protocol.Header) { h.Seq = 7 }, key, dev), 0, end)
}

func TestReceiveQuota(t *testing.T) {
	x := receive(t)
	for range protocol.QuotaPerCheckpoint {
		r := x.w.Record("dana", "poetry", map[string]int{"x": 1}, statetest.How{})
		x.says(r, "")
		x.hold(r)
	}
	r := x.w.Record("dana", "poetry", map[string]int{"x": 1}, statetest.How{})
	x.says(r, "more than 64 records")
	x.cover(20)
	x.says(x.w.Record("dana", "poetry", map[string]int{"x": 1}, statetest.How{Fork: true}), "")
}

func TestReceiveParents(t *testing.T) {
	x := receive(t)
	r := x.leave("dana", statetest.How{})
	h := r.Header()
	for h.Parents = nil; len(h.Parents) < protocol.MaxParents+1; {
		h.Parents = append(h.Parents, protocol.ID{byte(len(h.Parents) + 1)})
	}
	if _, err := protocol.Sign(h, roll.LeaveBody{}, nil, statetest.Key("device/dana")); !errors.Is(err, protocol.ErrMalformed) {
		t.Errorf("17 parents: %v", err)
	}
	h.Parents = h.Parents[:protocol.MaxParents]
	r, err := protocol.Sign(h, roll.LeaveBody{}, nil, statetest.Key("device/dana"))
	if err != nil {
		t.Fatal(err)
	}
	x.misses(r, 0, h.Parents...)
}

func TestReceivePersonaKeys(t *testing.T) {
	x := receive(t)
	x.says(x.w.Newcomer("eve", "door")[0], "inside an admission")
	key, founding := statetest.Key("persona/eve"), statetest.Key("founding/gina")
	in := func(parents ...protocol.ID) *protocol.Record {
		h := protocol.Header{Metastate: x.w.Genesis.ID(), Kind: protocol.Inception, Key: key.Public(), Parents: parents}
		h.Cosigners = []identity.PublicKey{founding.Public()}
		r, err := protocol.Sign(h, identity.Inception{}, nil, key, founding)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	x.says(in(x.w.Genesis.ID()), "")
	x.says(in(), "follows the genesis")
	x.says(in(x.w.Heads[0]), "follows the genesis")

	grant := x.w.Grant("bob", "bob/phone", statetest.How{})
	other, dev := statetest.Key("x"), statetest.Key("device/bob/phone")
	begin := func(h *protocol.Header) { h.Seq, h.Prev = 0, protocol.ID{} }
	x.says(x.sign(grant, begin, statetest.Key("persona/bob"), dev), "follows the persona's inception")
	mine := x.w.Propose("dana", "mine", "ordinary", 1e6, statetest.How{})
	x.hold(mine)
	x.says(x.sign(grant, func(h *protocol.Header) {
		h.Key, h.Prev, h.Seq, h.Checkpoint = statetest.Key("device/dana").Public(), mine.ID(), 1, mine.Header().Checkpoint
	}, statetest.Key("device/dana"), dev), "does not speak for the persona")
	// A record of one's own is no persona.
	x.says(x.sign(grant, func(h *protocol.Header) {
		h.Key, h.Prev, h.Seq, h.Persona = statetest.Key("device/dana").Public(), mine.ID(), 1, mine.ID()
	}, statetest.Key("device/dana"), dev), "not on the roll")
	ours := in(x.w.Genesis.ID())
	x.hold(ours)
	x.says(x.sign(grant, func(h *protocol.Header) {
		h.Key, h.Prev, h.Seq, h.Persona = key.Public(), ours.ID(), 1, ours.ID()
	}, key, dev), "")
	stray := x.sign(ours, func(h *protocol.Header) { h.Key, h.Time = other.Public(), 5 }, other, founding)
	x.hold(stray)
	x.says(x.sign(grant, func(h *protocol.Header) {
		h.Key, h.Prev, h.Seq, h.Persona = key.Public(), ours.ID(), 1, stray.ID()
	}, key, dev), "not on the roll")

	x.cover(20, x.leave("bob", statetest.How{}))
	x.says(x.w.Grant("bob", "bob/tablet", statetest.How{Fork: true}), "does not speak for the persona")
}

func TestReceiveDevice(t *testing.T) {
	x := receive(t)
	const not = "device may not sign"
	x.says(x.leave("dana/phone", statetest.How{}), not)
	x.says(x.leave("bob", statetest.How{Persona: "dana"}), not)
	x.says(x.leave("dana", statetest.How{Ref: x.refs[1]}), not)
	x.says(x.w.Ballot("dana/phone", x.open, "yes", statetest.How{}), not)
	x.says(x.w.Ballot("bob", x.open, "yes", statetest.How{Persona: "dana"}), not)
}

func TestReceiveStanding(t *testing.T) {
	x := receive(t)
	const not = "standing at the checkpoint it cites"
	x.cover(20, x.w.Record("alice", protocol.Suspend, roll.RestrictBody{Persona: x.w.Persona("dana"), Reason: "harm"}, statetest.How{}))
	propose := func(how statetest.How) *protocol.Record {
		how.Fork = true
		return x.w.Propose("dana", "a", "ordinary", 1e6, how)
	}
	x.says(propose(statetest.How{}), not)
	x.says(propose(statetest.How{Ref: x.refs[3]}), "") // a member then; Advance gives it no effect
	x.says(x.w.Ballot("dana", x.open, "no", statetest.How{}), "")
	x.says(x.leave("dana", statetest.How{Fork: true}), "")
	x.cover(30, x.leave("dana", statetest.How{Fork: true}))
	x.says(propose(statetest.How{}), not)
	x.says(x.leave("dana", statetest.How{Fork: true}), not)
}

func TestReceiveBallots(t *testing.T) {
	x := receive(t)
	const not = "not open at the checkpoint"
	x.says(x.w.Ballot("dana", protocol.Sum(nil), "yes", statetest.How{}), not)
	x.says(x.w.Ballot("alice", x.open, "yes", statetest.How{Ref: x.refs[1]}), not)
	x.says(x.w.Ballot("alice", x.shut, "yes", statetest.How{}), "has closed")
	a := x.w.Admit("alice", "eve", "door", x.s.Roll().Member(x.w.Persona("dana")).Invite, statetest.How{})
	x.cover(20, a)
	x.says(x.w.Ballot("eve", x.open, "yes", statetest.How{}), "standing")
	x.says(x.w.Ballot("dana", x.open, "yes", statetest.How{}), "")
}

// TestReceiveWhenever: a node that is further on gives the same answer about a
// record and what it cites, also when its author's standing has changed since.
func TestReceiveWhenever(t *testing.T) {
	x := receive(t)
	p := x.w.Propose("dana", "a", "ordinary", 1e6, statetest.How{})
	early := x.w.Propose("dana", "b", "ordinary", 1e6, statetest.How{Fork: true, Ref: x.refs[1]})
	stranger := x.leave("eve/phone", statetest.How{Persona: "dana"})
	for range 4 {
		x.says(p, "")
		x.says(early, "device may not sign")
		x.says(stranger, "device may not sign")
		x.cover(x.s.AsOf()-statetest.Start+1, x.w.Record("alice", protocol.Suspend, roll.RestrictBody{Persona: x.w.Persona("dana"), Reason: "harm"}, statetest.How{}))
	}
}
