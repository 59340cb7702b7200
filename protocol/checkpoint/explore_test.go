package checkpoint

import (
	"fmt"
	"os"
	"testing"
	"time"
)

// Exploration visits every state that three honest clerks of four can be in,
// whatever the fourth says to whom, whatever is lost, repeated, late or out of
// order, and whichever timers and crashes come in between, over two values and
// a bounded number of rounds. It drives the machine itself, not a model of it.
//
// # What stands for what
//
// Whatever was sent can come at any time, again, or never; so the network has
// no state but the set of all messages sent. The dishonest clerk can at any
// time have sent anything that is its to sign: it has no state either. What is
// left are the honest clerks.
//
// # Why it can be complete
//
// What a clerk has heard would make the states too many. So after every move a
// clerk forgets it: it resumes from its record, as after a crash, and is told
// again what its next move needs. No run gets lost by this. Each rule of settle
// asks that something was heard, never that it was not. So let one machine have
// heard H without a rule applying, and then m, which makes rule R apply; and let
// another stand alike (round, step, locks, own messages) and have heard less.
// It can be told what R asks for out of H and m, with m last: nothing comes of
// the rest, for nothing came of all H. So it follows the first wherever that
// goes, one rule at a time.
//
// Where m makes several rules apply, settle takes the first and then, if that
// still applies, the next; the one who follows can take them in any order. Only
// a decision keeps the next from applying. Then the follower says more than the
// first did, and can decide the same as well: nothing is lost for those who
// look for two decisions. Timers and the judge being late is a message being
// late. [walkOrders] holds all this to machines that do not forget.
//
// The moves of a state are not modelled either: messages are fed to the machine
// until something comes of it (finder.search says which ones suffice).
//
// # How much
//
// By default two rounds; METASTATE_EXPLORE=full takes rounds 0 to 2: over 2·10^8
// states, about four minutes of two cores, and 4 GB of memory.
func TestExplore(t *testing.T) {
	rounds, least, walked, steps := uint32(2), int64(100_000), int64(15_000), 150
	if exploreAll() {
		rounds, least, walked, steps = 3, 10_000_000, 250_000, 250
	}
	var total int64
	began := time.Now()
	for liar := range 4 {
		t.Run(fmt.Sprintf("liar=%c", 'A'+liar), func(t *testing.T) {
			x := newExplorer(newUniverse(t, setup{n: 4, liars: []int{liar}, rounds: rounds}))
			start := time.Now()
			depth := x.run()
			states := x.seen.count.Load()
			total += states
			t.Logf("all of rounds 0–%d: %d states, %d of them with a value final, %d of one clerk, depth %d, %.1f s",
				rounds-1, states, x.final.Load(), x.locals.len(), depth, time.Since(start).Seconds())
			if x.failed.what != "" {
				t.Fatalf("%s:%s", x.failed.what, x.trace(x.failed.at))
			}
			if states < least || x.final.Load() == 0 {
				t.Errorf("%d states, at least %d expected: something is cut off", states, least)
			}
			walkOrders(t, x, walked, steps)
		})
	}
	t.Logf("%d states in %.1f s", total, time.Since(began).Seconds())
}

func exploreAll() bool { return os.Getenv("METASTATE_EXPLORE") == "full" }

// An exploration that cannot fail shows nothing. Each of these worlds is broken
// in one way, and two values get decided.
func TestExploreSeesWhatIsBroken(t *testing.T) {
	for name, s := range map[string]setup{
		"locks forgotten": {liars: []int{3}, rounds: 2, mutate: func(m *Machine) { m.locked = lock{round: NoRound} }},
		"locks not raised": {liars: []int{3}, rounds: 3, mutate: func(m *Machine) {
			m.locked.round = min(m.locked.round, 0)
		}},
		"records lost": {liars: []int{1}, rounds: 1, amnesia: true},
		"two liars":    {liars: []int{1, 2}, rounds: 1},
	} {
		t.Run(name, func(t *testing.T) {
			if s.rounds > 2 && !exploreAll() {
				t.Skip("takes 2 million states: METASTATE_EXPLORE=full")
			}
			s.n, s.onlyFinal = 4, true
			x := newExplorer(newUniverse(t, s))
			x.limit, x.deep = 5_000_000, s.rounds > 2
			if !x.deep { // else it takes much memory
				x.parents = map[uint64]uint64{}
			}
			start := time.Now()
			depth := x.run()
			t.Logf("%d states, depth %d, %.1f s: %s", x.seen.count.Load(), depth, time.Since(start).Seconds(), x.failed.what)
			if x.failed.what != "two values decided" {
				t.Fatalf("not seen: %q", x.failed.what)
			}
			t.Log("\n" + x.trace(x.failed.at))
		})
	}
}
