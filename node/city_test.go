package node

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"testing/cryptotest"
	"testing/synctest"
	"time"

	"github.com/metastate-p2p/metastate/protocol"
)

// citySeeds are those that METASTATE_CITY names ("7", "0-19"), or the first.
func citySeeds(t *testing.T) (first, last uint64) {
	t.Helper()
	env := os.Getenv("METASTATE_CITY")
	if env == "" {
		return 0, 0
	}
	from, to, many := strings.Cut(env, "-")
	first, err := strconv.ParseUint(from, 10, 32)
	if last = first; err == nil && many {
		last, err = strconv.ParseUint(to, 10, 32)
	}
	if err != nil || last < first {
		t.Fatalf("METASTATE_CITY is %q, not a seed or FIRST-LAST", env)
	}
	return first, last
}

// Two hundred members on sixty nodes, seven clerks of whom two are dishonest, as
// is one member in ten; nodes that stop and begin again, people who come and go,
// and for minutes two parts of 60 and 40 % that do not hear each other: when it
// is over all honest nodes are equal, nothing of an honest member is lost, and
// the clerks who signed twice have lost the office.
func TestCity(t *testing.T) {
	if underRace {
		t.Skip("one goroutine does everything; TestSimulation runs under the race detector")
	}
	spendMemory(t)
	first, last := citySeeds(t)
	for seed := first; seed <= last; seed++ {
		began := time.Now()
		ok := t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			runCity(t, citySize{60, 200}, seed)
		})
		t.Logf("seed %d: %v of real time", seed, time.Since(began).Round(time.Millisecond))
		if !ok {
			t.Logf("again: METASTATE_CITY=%d go test -run 'TestCity$' ./node", seed)
		}
	}
}

// runCity tells the story of a city and returns its last checkpoint.
func runCity(t *testing.T, size citySize, seed uint64) (end protocol.Ref) {
	cryptotest.SetGlobalRandom(t, seed)
	synctest.Test(t, func(t *testing.T) {
		c := newCity(t, size, seed)
		defer c.close()
		c.whole()
		c.partition()
		c.heal()
		took := c.settles()
		c.checkRoll()
		c.checkDeeds()
		counted := c.checkCounts()
		c.bounded()
		s := c.nodes[0].community().Status()
		end = protocol.Ref{Height: s.Checkpoint.Height, ID: s.Checkpoint.ID}
		t.Logf("seed %d: %d people on %d nodes; equal %v after the city healed, %v after it began: height %d, state root %.16s; %d acts of honest people, %d ballots counted; %v",
			seed, len(c.people), c.size.nodes, took, c.clock(), s.Checkpoint.Height, s.Checkpoint.StateRoot, len(c.deeds), counted, c.logs)
	})
	return end
}

// whole is the time before the city falls apart.
func (c *city) whole() {
	for n := 0; len(c.nodes[0].community().ledger.currentTip().Clerks()) < cityClerks; n++ {
		if n == 60 {
			c.t.Fatal("a minute passed without seven clerks")
		}
		c.run(time.Second)
	}
	c.began = time.Now()
	short := c.ask(c.people[0], "that closes while the city is apart", 110*time.Second)
	long := c.ask(c.resident(-1), "that is open throughout", 7*time.Minute)
	c.canvass(short, 50, 90*time.Second)
	c.canvass(long, 60, 4*time.Minute)
	c.life(c.size.members/40, 2, 40*time.Second)
	c.liesAtFirst()
	c.after(20*time.Second, func() { c.staleCertificates(c.nodes[honestClerks]) })
	c.run(40 * time.Second)
	c.bounded()
}

// apart reports whether the city is in two parts.
func (c *city) apart() bool { return !c.parted.IsZero() && c.healed.IsZero() }

// apartFor is how long the city is in two parts. Of seven clerks two are away
// then and two lie: a checkpoint takes the others some ten seconds.
const apartFor = 4 * time.Minute

// partition divides the city: 60 % of the nodes with three honest clerks, 40 %
// with two, and each dishonest clerk on both sides. With its promises the first
// side has a quorum, five of seven, and the other lacks one.
func (c *city) partition() {
	c.parted = time.Now()
	c.mu.Lock()
	for _, i := range []int{3, 4, cityClerks, cityClerks + 1, len(c.side) - 1} {
		c.side[i] = 1
	}
	for n := 3; n < c.size.nodes*2/5; n++ { // three of them are there already
		i := citySeats + c.rng.IntN(c.size.nodes+2-lateNodes-citySeats)
		for c.side[i] == 1 {
			i = citySeats + c.rng.IntN(c.size.nodes+2-lateNodes-citySeats)
		}
		c.side[i] = 1
	}
	for i, side := range c.side {
		c.far[i] = side == 1
	}
	c.mu.Unlock()
	for _, n := range c.nodes {
		if c.begunLater(n.i) {
			n.start()
		}
	}
	c.run(5 * time.Second) // what was under way is over
	before := c.heights()
	c.liesApart(c.asked[1], c.asked[0])
	c.canvass(c.ask(c.resident(0), "asked by the majority", 6*time.Minute), 50, 4*time.Minute)
	late := c.ask(c.resident(1), "asked by the minority", 3*time.Minute)
	c.after(apartFor, func() { c.canvass(late, 50, 2*time.Minute) })
	c.life(c.size.members/20, 2, apartFor-10*time.Second)
	c.after(60*time.Second, func() { c.staleCertificates(c.nodes[cityClerks]) })
	c.after(90*time.Second, func() { c.staleCertificates(c.nodes[honestClerks+1]) })
	c.run(apartFor)
	after := c.heights()
	c.t.Logf("apart for %v: checkpoints %d to %d on one side, %d to %d on the other, which holds %d records more",
		time.Since(c.parted), before[0], after[0], before[1], after[1], len(c.honest(&citizen{}, 1).Snapshot().Open))
	if after[0] < before[0]+20 {
		c.t.Errorf("the side with a quorum made %d checkpoints", after[0]-before[0])
	}
	if after[1] != before[1] {
		c.t.Errorf("the side without a quorum went from checkpoint %d to %d", before[1], after[1])
	}
	if len(c.honest(&citizen{}, 1).Snapshot().Open) < c.size.members/4 {
		c.t.Error("the side without a quorum wrote next to nothing")
	}
	c.bounded()
}

// heights are the latest checkpoints on either side.
func (c *city) heights() (best [2]uint64) {
	for _, n := range c.nodes {
		if !n.down {
			side := n.side[n.i]
			best[side] = max(best[side], n.community().ledger.currentTip().Ref().Height)
		}
	}
	return best
}

// heal makes the city whole, and life goes on for a while.
func (c *city) heal() {
	c.healed = time.Now()
	c.mu.Lock()
	clear(c.side)
	c.mu.Unlock()
	c.life(c.size.members/40, 2, 40*time.Second)
	c.after(20*time.Second, func() { c.staleCertificates(c.nodes[honestClerks]) })
	c.run(60 * time.Second)
	c.bounded()
}
