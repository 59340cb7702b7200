package checkpoint

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"
)

// twin gives each liar of a world two lives more: machines with its key that
// are honest each by itself, know nothing of each other, and hear and tell what
// the network brings them. Together they sign twice wherever the two come to
// see things differently, which is the most convincing way to: each life's
// votes follow from what it heard.
func (w *world) twin() {
	for i, nd := range w.nodes[:len(w.clerks)] {
		if !nd.liar {
			continue
		}
		for range 2 {
			life := &simNode{index: i, accusing: map[int]bool{}, lies: map[Header]*Message{}}
			w.nodes = append(w.nodes, life)
			w.after(time.Duration(w.rng.IntN(3000))*time.Millisecond, func() { w.boot(life) })
		}
	}
}

// strike crashes one node after the other until the network heals. Honest ones
// resume from their records. A liar's life starts over with nothing remembered;
// its record would often be refused, since its key signed against itself.
func (w *world) strike() {
	w.after(time.Duration(w.rng.IntN(2000))*time.Millisecond, func() {
		if w.now >= w.healAt {
			return
		}
		nd := w.nodes[w.rng.IntN(len(w.nodes))]
		if nd.machine != nil {
			nd.machine = nil
			nd.life++
			if w.nodes[nd.index] != nd {
				nd.disk = nil
			}
			w.after(time.Duration(w.rng.IntN(8000))*time.Millisecond, func() { w.boot(nd) })
		}
		w.strike()
	})
}

// longSeeds is how many seeds of each kind of world are run: METASTATE_EXPLORE
// =full takes thousands, METASTATE_SEEDS=n any number.
func longSeeds(t *testing.T) uint64 {
	if s := os.Getenv("METASTATE_SEEDS"); s != "" {
		n, err := strconv.ParseUint(s, 10, 32)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if exploreAll() {
		return 500
	}
	return 12
}

// TestLongSimulation goes on from [TestSimulation] with more seeds, and liars
// who lead double lives besides lying at random. Clerks decide one value, and
// do decide once the network is good.
func TestLongSimulation(t *testing.T) {
	seeds := longSeeds(t)
	const base = 1_000_000 // none of TestSimulation's
	for _, c := range []struct {
		n, liars int
		twins    bool
	}{{4, 1, false}, {4, 1, true}, {7, 2, false}, {7, 2, true}, {7, 1, true}} {
		t.Run(fmt.Sprintf("clerks=%d,liars=%d,twins=%v", c.n, c.liars, c.twins), func(t *testing.T) {
			t.Parallel()
			start := time.Now()
			var rounds uint32
			restarts, accused := 0, 0
			for seed := base + uint64(0); seed < base+seeds; seed++ {
				w := newWorld(t, seed, c.n, c.liars, !c.twins)
				if c.twins {
					w.twin()
					w.strike()
				}
				w.healAt = time.Duration(10+rand.New(rand.NewPCG(seed, 9)).IntN(90)) * time.Second
				done := w.run(time.Hour)
				if err := w.agreed(); err != nil {
					t.Fatalf("seed %d: %v", seed, err)
				}
				if !done {
					t.Fatalf("seed %d: undecided at %v", seed, w.now)
				}
				for _, nd := range w.nodes {
					restarts += max(0, nd.life-1)
					accused += len(nd.accusing)
					if nd.decided != nil {
						rounds = max(rounds, nd.decided.Round)
					}
				}
			}
			t.Logf("%d seeds: up to round %d, %d crashes and restarts, %d times a liar was found out, %.1f s",
				seeds, rounds, restarts, accused, time.Since(start).Seconds())
			if rounds < 2 || restarts == 0 || accused == 0 {
				t.Error("the network is too kind to test anything")
			}
		})
	}
}

// With one liar more than the clerks bear, who lead double lives, agreement
// does break in some world; so a simulation can see that it holds in the
// others. What breaks it is two halves that hear different lives.
func TestLongSimulationCanFail(t *testing.T) {
	if !exploreAll() {
		t.Skip("takes a hundred worlds: METASTATE_EXPLORE=full")
	}
	for seed := uint64(0); seed < 400; seed++ {
		w := newWorld(t, 3*seed, 4, 2, false)
		w.healAt = 30 * time.Second
		w.twin()
		w.run(time.Minute)
		if w.agreed() != nil {
			t.Logf("agreement broke at seed %d", seed)
			return
		}
	}
	t.Error("no seed breaks agreement with two liars of four: the network is too kind to test anything")
}
