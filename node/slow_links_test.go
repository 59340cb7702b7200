package node

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/metastate-p2p/metastate/protocol"
)

// Over links that take 200 ms each way, what four clerks or a fifth member
// write is final for all of them within two round trips and a second, whenever
// they write it: while a checkpoint is being made, or when all has been quiet.
// The clock is the simulation's, so no machine is too slow for it.
func TestFinalOverSlowLinks(t *testing.T) {
	if underRace {
		t.Skip("whole hosts in virtual time run without the race detector")
	}
	const (
		oneWay = 200 * time.Millisecond
		limit  = 4*oneWay + time.Second
		votes  = 60
	)
	synctest.Test(t, func(t *testing.T) {
		v := villageOver(t, 5, oneWay)
		poll := v.fourClerks()
		rng := rand.New(rand.NewPCG(1, 1))
		took := make([]time.Duration, votes)
		var wg sync.WaitGroup
		for i := range votes {
			gap := 2 * time.Second
			if i%5 == 4 {
				gap = 100 * time.Second
			}
			time.Sleep(time.Duration(rng.Int64N(int64(gap))))
			wg.Go(func() {
				began := time.Now()
				r, err := v.all[i%5].Vote(t.Context(), poll.String(), []string{"yes", "no"}[i%2])
				if err != nil {
					t.Error(err)
					return
				}
				for slices.ContainsFunc(v.all, func(c *Community) bool {
					got, err := c.CheckReceipt(r.Receipt)
					return err != nil || !got.Covered
				}) {
					time.Sleep(5 * time.Millisecond)
				}
				took[i] = time.Since(began)
			})
		}
		wg.Wait()
		slices.Sort(took)
		t.Logf("final for all: median %v, at most %v", took[votes/2].Round(time.Millisecond), took[votes-1].Round(time.Millisecond))
		if most := took[votes-1]; most > limit {
			t.Errorf("final for all after %v, wanted %v", most, limit)
		}
		for _, m := range v.nodes {
			if err := m.Close(); err != nil {
				t.Error(err)
			}
		}
	})
}

// fourClerks makes the first four nodes clerks, opens a poll, and waits until
// everybody has met everybody.
func (v *village) fourClerks() (poll protocol.ID) {
	v.t.Helper()
	var clerks []protocol.ID
	for _, c := range v.all[1:4] {
		clerks = append(clerks, c.Persona())
	}
	if _, err := v.all[0].Appoint(v.t.Context(), "clerk", clerks); err != nil {
		v.t.Fatal(err)
	}
	for i, c := range v.all {
		v.eventually(time.Minute, fmt.Sprint("four clerks, at ", i), func() bool { return c.Status().Clerks.Count == 4 })
	}
	p, err := v.all[0].Propose(v.t.Context(), ProposeRequest{Title: "Meet on Fridays", ClosesIn: 24 * time.Hour})
	if err != nil {
		v.t.Fatal(err)
	}
	for i, c := range v.all {
		v.eventually(time.Minute, fmt.Sprint("the vote opens at ", i), func() bool {
			got, err := c.Proposal(p.Proposal.String())
			return err == nil && got.MayVote
		})
	}
	v.eventually(time.Minute, "all are equal and connected", func() bool {
		return v.equal() && !slices.ContainsFunc(v.all, func(c *Community) bool { return c.Status().Peers < len(v.all)-1 })
	})
	return p.Proposal
}
