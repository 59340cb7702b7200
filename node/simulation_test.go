package node

import (
	"encoding/hex"
	"fmt"
	"runtime/debug"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/metastate-p2p/metastate/node/internal/p2p"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/roll"
)

const (
	simHomes = 30
	simSeeds = 100
	simActs  = 40
)

// Thirty ledgers, a network that loses, delays, reorders and repeats messages
// and falls apart into up to three, clerks and members who crash: when it is
// over all are equal, to the byte, and every ballot that was acknowledged to a
// voter in time is in. The seed fixes what the network does and what people
// do; keys are fresh each time.
func TestSimulation(t *testing.T) {
	seeds := uint64(simSeeds)
	if testing.Short() || underRace {
		seeds = 10
	}
	spendMemory(t)
	var ran, heights, acts, votes atomic.Uint64
	began := time.Now()
	t.Cleanup(func() {
		t.Logf("%d seeds of %d ledgers in %v: %d checkpoints, %d acts, %d ballots",
			ran.Load(), simHomes, time.Since(began).Round(time.Millisecond), heights.Load(), acts.Load(), votes.Load())
		all := ran.Load() == seeds // not one that -run picked
		if all && (acts.Load() < seeds*simActs/2 || votes.Load() < seeds*simActs/8) {
			t.Error("the simulation did next to nothing")
		}
	})
	for seed := range seeds {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newTown(t, simHomes, seed)
				defer w.close()
				did := w.trouble()
				took := w.settle()
				at := w.homes[0].community().Status().Checkpoint
				t.Logf("seed %d: %d acts, %d ballots; equal %v after the trouble: height %d, state root %.16s, %d votes decided",
					seed, did.acts, did.votes, took.Round(time.Millisecond), at.Height, at.StateRoot, w.checkPolls())
				ran.Add(1)
				heights.Add(at.Height)
				acts.Add(did.acts)
				votes.Add(did.votes)
			})
		})
	}
}

// spendMemory lets the collector run less often than its default while a test
// runs, and more often again before the heap is large.
func spendMemory(t *testing.T) {
	percent, limit := debug.SetGCPercent(400), debug.SetMemoryLimit(1<<30)
	t.Cleanup(func() {
		debug.SetGCPercent(percent)
		debug.SetMemoryLimit(limit)
	})
}

// deeds counts what the rules let people do.
type deeds struct{ acts, votes uint64 }

// trouble has members act while the network misbehaves.
func (w *town) trouble() (did deeds) {
	w.mu.Lock()
	w.bad = true
	w.mu.Unlock()
	for n := range simActs {
		time.Sleep(time.Duration(w.draw(1200)) * time.Millisecond)
		switch {
		case n%15 == 5:
			w.cut(1 + w.draw(3))
		case n%15 == 14:
			w.cut(1)
		case w.draw(12) == 0:
			w.homes[w.draw(len(w.homes))].restart()
		default:
			h := w.homes[w.draw(len(w.homes))]
			if r, kind := h.something(); r != (protocol.ID{}) {
				did.acts++
				if kind == protocol.Ballot {
					did.votes++
				}
				inner, err := h.community().store.Get(r)
				if err != nil {
					w.t.Fatal("acknowledged but not held: ", err)
				}
				h.spread(p2p.Records, inner)
			}
		}
	}
	return did
}

// cut divides the homes at random.
func (w *town) cut(parts int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range w.side {
		w.side[i] = w.rng.IntN(parts)
	}
}

// something is a random act of a home, and the record it made.
func (h *home) something() (r protocol.ID, kind protocol.Kind) {
	c, ctx := h.community(), h.ctx
	var done RecordRef
	switch p := h.draw(20); {
	case p < 12:
		polls := slices.DeleteFunc(c.Proposals().Proposals, func(p Proposal) bool { return !p.MayVote })
		if len(polls) == 0 {
			return h.asks()
		}
		poll := polls[h.draw(len(polls))].Proposal.String()
		v, err := c.Vote(ctx, poll, []string{"yes", "no", "abstain"}[h.draw(3)])
		if err != nil {
			return r, kind
		}
		id, err := protocol.ParseID(v.Receipt)
		if err != nil {
			h.t.Error(err)
		}
		return id, protocol.Ballot
	case p < 16:
		return h.asks()
	case p == 16 && h.i >= townClerks:
		done, _ = c.Leave(ctx)
	case p == 17:
		done, _ = c.Suspend(ctx, protocol.ID(h.homes[h.draw(len(h.homes))].daily.Persona), "to see what happens")
	case p >= 18: // one persona knocks at two doors
		b, _ := h.newcomer(c.id)
		body := roll.AdmitBody{Persona: b.inception.ID(), Invite: h.invite}
		other := h.homes[h.draw(len(h.homes))].community()
		if x, err := other.act(protocol.Admit, body, b.inception, b.grant); err == nil {
			h.spread(p2p.Records, x.Inner())
		}
		if x, err := c.act(protocol.Admit, body, b.inception, b.grant); err == nil {
			return x.ID(), protocol.Admit
		}
	}
	return done.Record, protocol.Leave
}

func (h *home) asks() (protocol.ID, protocol.Kind) {
	ref, _ := h.community().Propose(h.ctx, ProposeRequest{
		Title: fmt.Sprint("Question ", h.draw(1000)), ClosesIn: time.Duration(3+h.draw(12)) * time.Second,
	})
	return ref.Proposal, protocol.Propose
}

// settle heals the network and waits until all homes are equal and nothing is
// left to make final.
func (w *town) settle() time.Duration {
	w.cut(1)
	w.mu.Lock()
	w.bad = false
	w.mu.Unlock()
	began := time.Now()
	for differ(w.homes) != "" {
		if time.Since(began) > 10*time.Minute {
			w.t.Fatalf("ten minutes after all trouble: %s", differ(w.homes))
		}
		time.Sleep(500 * time.Millisecond)
	}
	return time.Since(began)
}

// differ says in what homes are not equal yet to the first of them.
func differ(homes []*home) string {
	var first Status
	var polls uint64
	roots := map[protocol.ID][32]byte{}
	for n, h := range homes {
		i, c := h.i, h.community()
		s := c.Status()
		sets := setsOf(c)
		pending, wanted := c.ledger.waitsFor()
		if n == 0 {
			first, polls = s, uint64(len(sets))
			for id, set := range sets {
				roots[id] = set.Root()
			}
		}
		switch at := c.Snapshot(); {
		case at.Trouble != nil:
			return fmt.Sprintf("home %d: %v", i, at.Trouble)
		case s.Checkpoint != first.Checkpoint:
			return fmt.Sprintf("home %d is at height %d %.8s, home 0 at %d %.8s; holds %d open, %d pending, %d wanted",
				i, s.Checkpoint.Height, s.Checkpoint.StateRoot, first.Checkpoint.Height, first.Checkpoint.StateRoot,
				s.Provisional, pending, wanted)
		case c.ledger.hasWork():
			return fmt.Sprintf("home %d has %d records that could be made final", i, s.Provisional)
		case s.Provisional != 0:
			return fmt.Sprintf("home %d has %d records that are not final", i, s.Provisional)
		case unfinished(at):
			return fmt.Sprintf("home %d: a vote is open", i)
		case uint64(len(sets)) != polls:
			return fmt.Sprintf("home %d has %d sets, home 0 %d", i, len(sets), polls)
		}
		for id, set := range sets {
			if root := set.Root(); roots[id] != root {
				return fmt.Sprintf("home %d: set %s is %s", i, id, hex.EncodeToString(root[:4]))
			}
		}
	}
	return ""
}

// waitsFor counts the records that wait for others, and the certificates.
func (l *ledger) waitsFor() (pending, wanted int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.pending.records), len(l.wanted)
}

func unfinished(s *Snapshot) bool {
	for p := range s.Final.Decisions().Polls() {
		if !p.Phase.Closed() {
			return true
		}
	}
	return false
}

// checkPolls compares every count on every home, and replays one home's store.
func (w *town) checkPolls() (decided int) {
	first := w.homes[0].community()
	for _, p := range first.Proposals().Proposals {
		want, err := first.Tally(p.Proposal.String())
		if err != nil {
			w.t.Fatal(err)
		}
		if want.Final {
			decided++
		}
		for i, h := range w.homes {
			got, err := h.community().Tally(p.Proposal.String())
			if err != nil {
				w.t.Fatal(err)
			}
			if fmt.Sprint(got.Votes, got.Outcome, got.Counted, got.Electorate) != fmt.Sprint(want.Votes, want.Outcome, want.Counted, want.Electorate) ||
				*got.Checkpoint != *want.Checkpoint {
				w.t.Errorf("home %d counts %+v, home 0 %+v", i, got, want)
			}
		}
	}
	was := w.homes[w.draw(len(w.homes))]
	before := was.community().Status().Checkpoint
	was.restart()
	if after := was.community().Status().Checkpoint; after != before {
		w.t.Errorf("home %d was at %+v, after a restart at %+v", was.i, before, after)
	}
	return decided
}
