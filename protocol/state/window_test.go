package state_test

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/state"
	"github.com/metastate-p2p/metastate/protocol/state/statetest"
)

const day = 24 * 3600

// A control record may cite a checkpoint for 30 days after another followed it,
// and no matter how old it is itself. Ballots may until their poll closes.
func TestReceiveWindow(t *testing.T) {
	x := receive(t)
	at := x.refs[len(x.refs)-1]
	early := x.w.Propose("dana", "early", "ordinary", 1e6, statetest.How{})
	vote := x.w.Ballot("dana", x.open, "yes", statetest.How{})
	x.cover(100 * day) // nothing happened for long: the records cite what was the latest until now
	x.says(early, "")
	if x.s.Lapsed(early) {
		t.Error("lapsed though nothing followed what it cites")
	}
	x.cover(101 * day)
	x.cover(130 * day) // the day of the window's end
	x.says(early, "")
	x.cover(131 * day)
	x.says(early, "must be signed again")
	x.says(x.leave("bob", statetest.How{}), "") // cites the latest
	if !x.s.Lapsed(early) || x.s.Lapsed(vote) {
		t.Error("what lapses is not what is refused")
	}
	if x.s.Oldest() != at.Height+1 {
		t.Errorf("the oldest is %d, %d was left behind", x.s.Oldest(), at.Height)
	}
}

// The window is a function of the times of all checkpoints: the oldest that may
// be cited is the last before the first of the last 30 days and this one.
func TestWindowLaw(t *testing.T) {
	first := receive(t).s
	rapid.Check(t, func(t *rapid.T) {
		c := first
		days := []int64{c.AsOf() / day, c.AsOf() / day, c.AsOf() / day} // of checkpoints 1, 2, 3
		asOf := c.AsOf()
		for range rapid.IntRange(1, 60).Draw(t, "checkpoints") {
			asOf += rapid.Int64Range(0, 9*day).Draw(t, "pause")
			c, _ = c.Advance(state.Step{AsOf: asOf})
			days = append(days, c.AsOf()/day)
		}
		want := 0
		for want < len(days) && days[want]+protocol.WindowDays < days[len(days)-1] {
			want++
		}
		if c.Oldest() != uint64(want) { // heights count from 1: the one before
			t.Fatalf("the oldest of %v is %d, not %d", days, c.Oldest(), want)
		}
		if n := len(c.Sections()); n > state.MaxSections {
			t.Fatalf("sections of %d bytes", n)
		}
	})
}

// The sections of any state fit their bound: a full window of the greatest
// heights and days.
func TestSectionsFit(t *testing.T) {
	s := receive(t).s
	for i := range int64(200) {
		s, _ = s.Advance(state.Step{AsOf: 253402300799 - (200-i)*day})
	}
	if n := len(s.Sections()); n > state.MaxSections-31*8-8 { // heights here are short
		t.Errorf("%d bytes", n)
	}
	if _, err := state.ParseSections(s.Sections()); err != nil {
		t.Error(err)
	}
}

// A place that is final is closed to all but what is there, and so are places
// too far ahead of it: how many come in a day, and how many wait, is bounded.
func TestReceivePlaces(t *testing.T) {
	x := receive(t)
	poetry := func(how statetest.How) *protocol.Record {
		x.w.Time++
		return x.w.Record("dana", "poetry", map[string]int{"x": 1}, how)
	}
	first, rival := poetry(statetest.How{}), poetry(statetest.How{Fork: true})
	x.says(rival, "")
	x.cover(20, first)
	x.says(rival, "final in its place")
	if !x.s.Lapsed(rival) {
		t.Error("a rival of what is final stays")
	}
	dana := statetest.Key("device/dana")
	next := x.s.Roll().Device(dana.Public()).Chain.Next
	far := func(seq uint64) *protocol.Record {
		return x.sign(poetry(statetest.How{}), func(h *protocol.Header) { h.Seq, h.Prev = seq, first.ID() }, dana)
	}
	const many = "too many records of its chain"
	x.misses(x.sign(first, func(h *protocol.Header) {
		h.Seq, h.Prev, h.Checkpoint = next+protocol.MaxAhead-1, protocol.ID{9}, x.refs[len(x.refs)-1]
	}, dana), 0, protocol.ID{9})
	x.says(far(next+protocol.MaxAhead), many)
	if x.s.Lapsed(far(next + protocol.MaxAhead)) {
		t.Error("lapses though there may be room later")
	}
}

// However checkpoints come, a device's chain grows by no more in a day than it
// may, and then has room again; and where there was room there is, until it is
// final.
func TestReceiveDaily(t *testing.T) {
	x := receive(t)
	dana := statetest.Key("device/dana")
	chain := func() uint64 { return x.s.Roll().Device(dana.Public()).Chain.Next }
	start := chain()
	for at := int64(20); ; at++ {
		r := x.w.Record("dana", "poetry", map[string]int{"x": 1}, statetest.How{})
		if chain() == start+protocol.DailyRecords {
			x.says(r, "too many records of its chain")
			x.cover(at + day)
			r = x.w.Record("dana", "poetry", map[string]int{"x": 1}, statetest.How{Fork: true})
			x.says(r, "")
			return
		}
		x.says(r, "")
		x.cover(at, r)
		if chain() > start+protocol.DailyRecords {
			t.Fatal("grows beyond")
		}
	}
}

// Nothing more is taken of a device that forked, and what is held of it goes.
func TestReceiveForked(t *testing.T) {
	x := receive(t)
	poetry := func(how statetest.How) *protocol.Record {
		x.w.Time++
		return x.w.Record("dana", "poetry", map[string]int{"x": 1}, how)
	}
	a, b := poetry(statetest.How{}), poetry(statetest.How{Fork: true})
	x.hold(a, b)
	late := poetry(statetest.How{})
	x.says(late, "")
	x.cover(20, a, b)
	x.says(late, "two records in one place")
	if !x.s.Lapsed(late) {
		t.Error("stays")
	}
}

// A persona's key comes no further in a day than it may, whatever its records
// are worth: grants that are void move its chain too.
func TestReceiveKeyChain(t *testing.T) {
	x := receive(t)
	g := x.w.Grant("bob", "bob/phone", statetest.How{})
	key, dev := statetest.Key("persona/bob"), statetest.Key("device/bob/phone")
	void := x.sign(g, func(h *protocol.Header) { h.Time++ }, key, dev)
	x.cover(20, g, void)
	chain := x.s.Roll().Member(x.w.Persona("bob")).Keys.Chain
	if chain.Next != g.Header().Seq+1 || x.s.Roll().Device(dev.Public()) != nil {
		t.Errorf("two rivals leave the chain at %d", chain.Next)
	}
	x.says(x.sign(g, func(h *protocol.Header) { h.Time += 2 }, key, dev), "final in its place")
	x.says(x.sign(g, func(h *protocol.Header) { h.Seq = chain.Start + protocol.DailyKeyRecords }, key, dev), "too many records of its chain")
}
