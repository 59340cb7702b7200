package checkpoint_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/certificate"
	"github.com/metastate-p2p/metastate/protocol/checkpoint"
	"github.com/metastate-p2p/metastate/protocol/decision"
	"github.com/metastate-p2p/metastate/protocol/state/statetest"
)

// A chain is a node's tip and the people who write.
type chain struct {
	*testing.T
	w   *statetest.World
	tip checkpoint.Tip
}

func newChain(t *testing.T, founders ...string) *chain {
	w := statetest.New(t, statetest.Charter(t), founders...)
	tip, err := checkpoint.Begin(w.Genesis)
	if err != nil {
		t.Fatal(err)
	}
	c := &chain{t, w, tip}
	c.cover(0, w.Founding(founders...))
	return c
}

// cover makes the next checkpoint of what it can cover of records, has another
// node apply it to the same records in another order, and returns the rest.
func (c *chain) cover(asOf int64, records []*protocol.Record) (rest []*protocol.Record) {
	c.Helper()
	next, err := c.tip.Propose(records, statetest.Start+asOf)
	if err != nil {
		c.Fatal(err)
	}
	var covered []*protocol.Record
	for _, r := range records {
		if next.Tip.Covers(r) {
			covered = append(covered, r)
		} else {
			rest = append(rest, r)
		}
	}
	c.agree(next, covered)
	c.tip = next.Tip
	c.w.Cover(c.tip.Ref(), covered...)
	return rest
}

// agree requires that a node that holds the records in another order, and read
// the value from its bytes, comes to the same.
func (c *chain) agree(next checkpoint.Next, covered []*protocol.Record) {
	c.Helper()
	v, err := certificate.ParseValue(next.Encoded)
	if err != nil {
		c.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(v.Height, 1))
	mixed := slices.Clone(covered)
	rng.Shuffle(len(mixed), func(i, j int) { mixed[i], mixed[j] = mixed[j], mixed[i] })
	again, err := c.tip.Apply(v, mixed)
	if err != nil {
		c.Fatalf("height %d: %v", v.Height, err)
	}
	if !bytes.Equal(again.Encoded, next.Encoded) || again.Tip.Ref() != next.Tip.Ref() ||
		again.Tip.State().Root() != next.Tip.State().Root() || !slices.Equal(again.Tip.Frontier(), next.Tip.Frontier()) {
		c.Fatalf("height %d: another order makes another checkpoint", v.Height)
	}
	lists := map[protocol.ID][]byte{}
	for _, b := range again.Chunks {
		lists[protocol.Sum(b)] = b
	}
	sets, err := v.NewlyCovered(func(name protocol.ID) []byte { return lists[name] })
	n := 0
	for _, s := range sets {
		n += len(s.IDs)
	}
	if err != nil || n != len(covered) {
		c.Fatalf("height %d lists %d of %d records: %v", v.Height, n, len(covered), err)
	}
}

// some are records of both planes, the ballots of two polls, one of which
// closes at +3600.
func (c *chain) some() []*protocol.Record {
	p := c.w.Propose("alice", "one", "ordinary", 3600, statetest.How{})
	q := c.w.Propose("alice", "two", "ordinary", 7200, statetest.How{})
	c.cover(0, []*protocol.Record{p, q})
	i := c.w.Invite("alice", "door", 5, statetest.Start+1e6, statetest.How{})
	return []*protocol.Record{
		c.w.Ballot("alice", p.ID(), "yes", statetest.How{}),
		c.w.Ballot("bob", p.ID(), "no", statetest.How{}),
		c.w.Ballot("bob", q.ID(), "yes", statetest.How{}),
		i,
		c.w.Admit("alice", "dana", "door", i.ID(), statetest.How{}),
		c.w.Admit("bob", "eve", "door", i.ID(), statetest.How{After: []*protocol.Record{i}}),
	}
}

func TestTipCovers(t *testing.T) {
	c := newChain(t, "alice", "bob")
	records := c.some()
	twice, err := c.tip.Propose(append(records, records...), statetest.Start+3600)
	if err != nil {
		t.Fatal(err)
	}
	if rest := c.cover(3600, records); len(rest) != 0 || c.tip.Ref() != twice.Tip.Ref() {
		t.Fatalf("%d not covered, or copies make a difference", len(rest))
	}
	if n := c.tip.Covered(protocol.ID{}).Len(); n != 1+4+2+3 {
		t.Errorf("%d control records covered", n)
	}
	if c.tip.State().Roll().Size() != 4 || len(c.tip.State().Decisions().JustClosed()) != 1 {
		t.Error("the state does not follow the records")
	}
	for _, r := range records {
		if c.tip.Ripe(r, nil) {
			t.Error("covered, and to be covered again")
		}
	}
	if b := c.w.Ballot("alice", records[0].Header().Subject, "no", statetest.How{Seq: 9}); c.tip.Ripe(b, nil) {
		t.Error("a ballot of a closed poll can be covered")
	}
}

// TestTipNewcomersDevice: a newcomer's first grant is inside an admission, and
// their next grants follow it all the same.
func TestTipNewcomersDevice(t *testing.T) {
	c := newChain(t, "alice", "bob")
	c.cover(0, c.some())
	for _, device := range []string{"dana/phone", "dana/tablet"} {
		g := c.w.Grant("dana", device, statetest.How{})
		if rest := c.cover(0, []*protocol.Record{g}); len(rest) != 0 {
			t.Fatalf("%s can't be covered", device)
		}
		if d := c.tip.State().Roll().Device(statetest.Key("device/" + device).Public()); d == nil {
			t.Errorf("%s has no effect", device)
		}
	}
}

func TestTipLeavesOut(t *testing.T) {
	c := newChain(t, "alice", "bob")
	first := c.w.Propose("alice", "one", "ordinary", 3600, statetest.How{})
	second := c.w.Propose("alice", "two", "ordinary", 3600, statetest.How{})
	aside := c.w.Propose("bob", "three", "ordinary", 3600, statetest.How{After: []*protocol.Record{second}})
	early := c.w.Ballot("bob", first.ID(), "yes", statetest.How{})
	other := statetest.Charter(t)
	other.Suspend = 1
	foreign := statetest.New(t, other, "alice").Genesis
	ahead := protocol.Ref{Height: c.tip.Ref().Height + 1, ID: protocol.ID{1}}
	unborn := c.w.Propose("bob", "four", "ordinary", 3600, statetest.How{Fork: true, Ref: ahead})
	if rest := c.cover(0, []*protocol.Record{aside, second, early, foreign, unborn}); len(rest) != 5 {
		t.Errorf("covers what has no ancestors, is early, of another metastate or cites what is to come: %d left", len(rest))
	}
	if rest := c.cover(0, []*protocol.Record{aside, early, second, foreign, first}); !slices.Equal(rest, []*protocol.Record{early, foreign}) {
		t.Errorf("%d left", len(rest))
	}
}

func TestTipApplyRefuses(t *testing.T) {
	c := newChain(t, "alice", "bob")
	records := c.some()
	next, err := c.tip.Propose(records, statetest.Start+3600)
	if err != nil {
		t.Fatal(err)
	}
	refuse := func(what string, v certificate.Value, records []*protocol.Record, want error) {
		t.Helper()
		if _, err := c.tip.Apply(v, records); err == nil || want != nil && !errors.Is(err, want) {
			t.Errorf("%s: got %v, want %v", what, err, want)
		}
	}
	v := next.Value
	for i := range records {
		refuse("a record is missing", v, slices.Delete(slices.Clone(records), i, i+1), nil)
	}
	extra := c.w.Ballot("alice", records[2].Header().Subject, "no", statetest.How{})
	refuse("a record too many", v, append(slices.Clone(records), extra), nil)
	refuse("a record twice", v, append(slices.Clone(records), records[0]), checkpoint.ErrNotNext)
	refuse("a record that is covered", v, append(slices.Clone(records), c.w.Genesis), checkpoint.ErrNotNext)

	id := protocol.Sum([]byte("another"))
	for what, change := range map[string]func(*certificate.Value){
		"metastate": func(v *certificate.Value) { v.Metastate = id },
		"height":    func(v *certificate.Value) { v.Height++ },
		"prev":      func(v *certificate.Value) { v.Prev = id },
		"asOf back": func(v *certificate.Value) { v.AsOf = statetest.Start - 1 },
		"version":   func(v *certificate.Value) { v.Version++ },
		"asOf":      func(v *certificate.Value) { v.AsOf++ },
		"root":      func(v *certificate.Value) { v.StateRoot[0] ^= 1 },
		"evidence":  func(v *certificate.Value) { v.Recall = []protocol.ID{id} },
		"frontier":  func(v *certificate.Value) { v.Control.Frontier = []protocol.ID{id} },
		"digest":    func(v *certificate.Value) { v.Control.Digest[0] ^= 1 },
		"count":     func(v *certificate.Value) { v.Control.Count++ },
		"chunks":    func(v *certificate.Value) { v.Control.Chunks = []protocol.ID{id} },
		"subject":   func(v *certificate.Value) { v.Subjects = v.Subjects[:1] },
		"of sub":    func(v *certificate.Value) { v.Subjects[0].Count++ },
		"dig sub":   func(v *certificate.Value) { v.Subjects[0].Digest[0] ^= 1 },
		"chunk sub": func(v *certificate.Value) { v.Subjects[0].Chunks = []protocol.ID{id} },
		"closings":  func(v *certificate.Value) { v.Closings = nil },
		"result":    func(v *certificate.Value) { v.Closings[0].Result = id },
		"counted":   func(v *certificate.Value) { v.Closings[0].Count++ },
		"clerks":    func(v *certificate.Value) { v.Clerks = v.Clerks[:1] },
		"clerk key": func(v *certificate.Value) { v.Clerks[0].Key = identity.PublicKey(id) },
	} {
		changed, err := certificate.ParseValue(next.Encoded) // a deep copy
		if err != nil {
			t.Fatal(err)
		}
		change(&changed)
		refuse(what, changed, records, map[string]error{
			"metastate": checkpoint.ErrNotNext, "height": checkpoint.ErrNotNext, "prev": checkpoint.ErrNotNext,
			"asOf back": checkpoint.ErrNotNext, "root": checkpoint.ErrStateRoot, "asOf": checkpoint.ErrStateRoot,
		}[what])
	}
	if _, err := c.tip.Apply(v, records); err != nil {
		t.Errorf("the value as it was: %v", err)
	}
}

// TestTipCaps: more records, subjects, closings and heads than one value has
// room for wait for the next; none is left behind, and no value is too large.
func TestTipCaps(t *testing.T) {
	const polls, ballots = 300, 12_300 // of 256 polls, more than one value covers
	var founders []string
	for i := range 13 {
		founders = append(founders, fmt.Sprint("f", i))
	}
	c := newChain(t, founders...)
	var records []*protocol.Record
	for i := range 7 {
		for _, f := range founders {
			records = append(records, c.w.Grant(f, fmt.Sprint(f, "/", i), statetest.How{}))
		}
	}
	records = c.cover(0, records)
	var questions []protocol.ID
	for i := range polls {
		r := c.w.Propose(fmt.Sprint("f", i%13, "/", i/13%7), fmt.Sprint(i), "ordinary", 3600, statetest.How{})
		records, questions = append(records, r), append(questions, r.ID())
	}
	if rest := c.cover(0, records); len(rest) != 0 {
		t.Fatalf("%d left", len(rest))
	}
	if n := len(c.tip.Frontier()); n != certificate.MaxFrontier {
		t.Fatalf("%d heads, wanted as many as a value lists", n)
	}
	records = nil
	for i := range ballots {
		n := i / polls
		records = append(records, c.w.Ballot(founders[n%13], questions[i%polls], "yes", statetest.How{Seq: uint64(n / 13)}))
	}
	rounds := 0
	for ; len(records) > 0; rounds++ {
		before := len(records)
		if records = c.cover(1, records); len(records) == before || before-len(records) > certificate.MaxNewlyCovered {
			t.Fatalf("round %d: %d of %d left", rounds, len(records), before)
		}
	}
	if rounds < 2 {
		t.Fatal("no cap was reached")
	}
	c.closeAll(questions)
}

// closeAll makes checkpoints whenever something falls due, each touching as
// many subjects as it can, until nothing does.
func (c *chain) closeAll(questions []protocol.ID) {
	closed := 0
	for round := 0; ; round++ {
		at, ok := c.tip.State().NextDeadline()
		if !ok {
			break
		}
		var late []*protocol.Record
		for _, q := range questions {
			if c.tip.State().Decisions().Poll(q).Phase == decision.Voting && round < 2 {
				late = append(late, c.w.Ballot("f0", q, "no", statetest.How{Seq: uint64(60 + round)}))
			}
		}
		c.cover(at-statetest.Start, late)
		n := len(c.tip.State().Decisions().JustClosed())
		if n == 0 || n > certificate.MaxClosings {
			c.Fatalf("%d polls closed in round %d", n, round)
		}
		closed += n
	}
	if closed != len(questions) {
		c.Fatalf("%d of %d polls closed", closed, len(questions))
	}
	for _, q := range questions {
		p := c.tip.State().Decisions().Poll(q)
		if v, ok := p.Ballots.Get(c.w.Persona("f0")); ok && v.Seq == 61 {
			c.Fatal("a ballot counts that came after a checkpoint past the deadline")
		}
	}
}

// TestBallotsHaveRoom: whoever writes more control records than a value has room
// for holds up no ballot, nor the reverse.
func TestBallotsHaveRoom(t *testing.T) {
	c := newChain(t, "alice", "bob")
	p := c.w.Propose("alice", "x", "ordinary", 3600, statetest.How{})
	c.cover(0, []*protocol.Record{p})
	room := certificate.MaxNewlyCovered
	noise := func(n int) (records []*protocol.Record) {
		for range n {
			records = append(records, c.w.Record("alice", protocol.Resign, map[string]int{"x": len(records)}, statetest.How{}))
		}
		return records
	}
	ballot := c.w.Ballot("bob", p.ID(), "yes", statetest.How{})
	left := c.cover(1, append(noise(room), ballot))
	if len(left) != 1 || c.tip.State().Decisions().Poll(p.ID()).Ballots.Len() != 1 {
		t.Errorf("%d left, %d ballots count", len(left), c.tip.State().Decisions().Poll(p.ID()).Ballots.Len())
	}
}
