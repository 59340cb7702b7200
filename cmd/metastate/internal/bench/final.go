package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/metastate-p2p/metastate/node"
	"github.com/metastate-p2p/metastate/protocol"
)

const (
	clerks       = 4
	votesEachRun = 4
	longestPause = 1500 * time.Millisecond // before a vote: some meet a checkpoint that was just made
)

// finality measures how long a record takes to be final for everybody: four
// clerks and a fifth member, each a node that keeps its files on disk, over TCP
// on loopback, in one process. The time runs from when a voter, the member or
// each clerk in turn, makes a ballot, until all five have a final checkpoint
// that covers it.
func finality(ctx context.Context, o Options, r *report) (err error) {
	dir, err := os.MkdirTemp(o.Dir, "metastate-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	o.Progress("four clerks and a member meet")
	c := &circle{}
	defer func() { err = errors.Join(err, c.close()) }()
	if err := c.meet(ctx, dir); err != nil {
		return fmt.Errorf("bringing four clerks together: %w", err)
	}
	return o.eachRun(ctx, func(int) error {
		var took []float64
		for range votesEachRun {
			if err := rest(ctx, rand.N(longestPause)); err != nil {
				return err
			}
			d, err := c.vote(ctx)
			if err != nil {
				return err
			}
			took = append(took, d.Seconds()*1e3)
		}
		r.barred("finalMillis", "a ballot is final for four clerks and a member, on loopback", "ms", "≤ 2000", median(took))
		r.barred("finalMostMillis", fmt.Sprintf("the slowest of %d in a run", votesEachRun), "ms", "≤ 2000", slices.Max(took))
		return nil
	})
}

func rest(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// A circle is four clerks and a member who vote in one poll.
type circle struct {
	nodes []*node.Node
	all   []*node.Community // the clerks first
	poll  protocol.ID
	votes int
}

func (c *circle) close() error {
	var errs []error
	for _, n := range c.nodes {
		errs = append(errs, n.Close())
	}
	return errors.Join(errs...)
}

// meet starts the nodes and waits until all are connected, four are clerks and
// the poll is open.
func (c *circle) meet(ctx context.Context, dir string) error {
	var link string
	var personas []protocol.ID
	for i := range clerks + 1 {
		n, err := openNode(ctx, filepath.Join(dir, fmt.Sprint(i)), nil)
		if err != nil {
			return err
		}
		c.nodes = append(c.nodes, n)
		var m node.Membership
		if i == 0 {
			m, err = n.Found(ctx, node.FoundRequest{Name: "Bench", As: "Founder"})
		} else {
			m, err = n.Join(ctx, node.JoinRequest{Link: link, As: fmt.Sprint("Member ", i)})
		}
		if err != nil {
			return err
		}
		home, err := n.Community(m.Metastate.String())
		if err != nil {
			return err
		}
		c.all, personas = append(c.all, home), append(personas, m.Persona)
		if i == 0 {
			invite, err := home.CreateInvite(ctx, node.InviteRequest{Uses: clerks})
			if err != nil {
				return err
			}
			link = invite.Link
		}
		if err := settle(ctx, home, "everybody is a member", func() bool { return home.Status().Standing == "member" }); err != nil {
			return err
		}
	}
	if _, err := c.all[0].Appoint(ctx, "clerk", sorted(personas[1:clerks]...)); err != nil {
		return err
	}
	if err := c.each(ctx, "four are clerks", func(m *node.Community) bool { return m.Status().Clerks.Count == clerks }); err != nil {
		return err
	}
	p, err := c.all[0].Propose(ctx, node.ProposeRequest{Title: "Question", ClosesIn: 24 * time.Hour})
	if err != nil {
		return err
	}
	c.poll = p.Proposal
	if err := c.each(ctx, "the vote opens", func(m *node.Community) bool {
		got, err := m.Proposal(c.poll.String())
		return err == nil && got.MayVote
	}); err != nil {
		return err
	}
	return c.each(ctx, "all are connected", func(m *node.Community) bool { return m.Status().Peers == clerks })
}

// each waits until ok holds of every community.
func (c *circle) each(ctx context.Context, what string, ok func(*node.Community) bool) error {
	errs := make([]error, len(c.all))
	var wg sync.WaitGroup
	for i, m := range c.all {
		wg.Go(func() { errs[i] = settle(ctx, m, what, func() bool { return ok(m) }) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// vote is how long the next ballot takes to be final for all. The member's
// votes alternate with those of the clerks in turn.
func (c *circle) vote(ctx context.Context) (time.Duration, error) {
	by := c.all[clerks]
	if c.votes%2 == 1 {
		by = c.all[c.votes/2%clerks]
	}
	choice := [...]string{"yes", "no"}[c.votes/2%2]
	c.votes++
	return timed(func() error {
		v, err := by.Vote(ctx, c.poll.String(), choice)
		if err != nil {
			return err
		}
		return c.each(ctx, "a ballot is final", func(m *node.Community) bool {
			got, err := m.CheckReceipt(v.Receipt)
			return err == nil && got.Covered
		})
	})
}
