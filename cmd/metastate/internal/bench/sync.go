package bench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/metastate-p2p/metastate/cmd/metastate/internal/garbage"
	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/node"
)

// stdlibSample bounds the signatures verified by crypto/ed25519 in each run: a
// rate needs no more.
const stdlibSample = 8192

// usualDiff is how many ballots one of two nodes lacks, unless Options.Diff says.
const usualDiff = 1000

// catchUp measures sync over TCP on loopback between two nodes that keep their
// files on disk and share this machine's processors.
//
// Catch-up: a newcomer is admitted to a community with a history of
// Options.Records records and fetches them all. The time runs from its
// admission until it holds all of them: each was received, found to be what a
// checkpoint covers, verified with all its signatures and stored durably, both
// have the same checkpoint with the same state root, and a session between them
// ended in agreement. The newcomer is usable when it has that state: all who
// belong, and all open polls. That nothing but the rules is left to recompute is
// what a node does when it next starts.
//
// Difference: the newcomer, running, is given Options.Diff further ballots, and
// the other node fetches them by one sync.
func catchUp(ctx context.Context, o Options, r *report) (err error) {
	dir, err := os.MkdirTemp(o.Dir, "metastate-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	gc := garbage.Tighten()
	defer gc.Release()
	s, err := chronicle(ctx, o, filepath.Join(dir, "source"), o.Records, gc.Bulk)
	if err != nil {
		return fmt.Errorf("making a community: %w", err)
	}
	defer func() { err = errors.Join(err, s.node.Close()) }()
	diff := min(cmp.Or(o.Diff, usualDiff), len(s.ballots))
	return o.eachRun(ctx, func(run int) error {
		p := pair{source: s, diff: diff, bulk: gc.Bulk}
		home := filepath.Join(dir, fmt.Sprintf("newcomer-%d", run))
		if err := errors.Join(p.measure(ctx, home), os.RemoveAll(home)); err != nil {
			return err
		}
		voi, err := timed(func() error { return onThreads(2, s.sample, byVOIRemembering(identity.NewVerifier(node.KeysKnown))) })
		if err != nil {
			return err
		}
		few := s.sample[:min(stdlibSample, len(s.sample))]
		stdlib, err := timed(func() error { return onThreads(2, few, byStdlib) })
		if err != nil {
			return err
		}
		p.report(r, s.bound(voi, len(s.sample)), s.bound(stdlib, len(few)))
		return nil
	})
}

// bound is how long all signatures of the history take, of which some took a time.
func (s *source) bound(took time.Duration, some int) time.Duration {
	return time.Duration(float64(took) * float64(s.signatures) / float64(some))
}

// A pair is a source and a newcomer, and what one run found of them.
type pair struct {
	*source
	diff int
	bulk func(begin bool)

	joining, usable, catching, mending time.Duration
}

func (p *pair) report(r *report, voi, stdlib time.Duration) {
	n := p.count
	ours := perSecond(n, p.catching)
	r.figure("catchUpPerSecond", "fresh node catches up, verified and durable", "records/s", ours)
	r.barred("catchUpSeconds", fmt.Sprintf("the same, %d records with %d signatures", n, p.signatures), "s", "≤ 30 for 1,000,000", p.catching.Seconds())
	r.barred("usableSeconds", "until it has the roll and the open polls", "s", "≤ 5", p.usable.Seconds())
	r.figure("joinSeconds", "before it: knocking until admitted", "s", p.joining.Seconds())
	r.figure("voiPerSecond2", "bound: curve25519-voi batches alone, keys remembered alike, 2 threads", "records/s", perSecond(n, voi))
	r.figure("stdlibPerSecond2", "crypto/ed25519 alone, 2 threads", "records/s", perSecond(n, stdlib))
	r.barred("diffMillis", fmt.Sprintf("a running node fetches %d records it lacks", p.diff), "ms", "≤ 300 for 1000", p.mending.Seconds()*1e3)
	r.ratio("catchUpToVOI2", "catch-up ÷ voi bound, 2 threads", "≥ 0.60", ours/perSecond(n, voi))
	r.ratio("catchUpToStdlib2", "catch-up ÷ crypto/ed25519, 2 threads", "≥ 2.2", ours/perSecond(n, stdlib))
}

// measure runs a newcomer's node from its start to its end.
func (p *pair) measure(ctx context.Context, dir string) (err error) {
	invite, err := p.home.CreateInvite(ctx, node.InviteRequest{})
	if err != nil {
		return err
	}
	n, err := openNode(ctx, dir, p.bulk)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, n.Close()) }()
	start := time.Now()
	m, err := n.Join(ctx, node.JoinRequest{Link: invite.Link, As: "Newcomer"})
	if err != nil {
		return err
	}
	c, err := n.Community(m.Metastate.String())
	if err != nil {
		return err
	}
	if err := settle(ctx, c, "the newcomer is admitted", func() bool { return c.Snapshot() != nil }); err != nil {
		return err
	}
	p.joining = time.Since(start)
	start = time.Now()
	if err := settle(ctx, c, "the newcomer knows the state", func() bool { return c.Status().Checkpoint.Height > 0 }); err != nil {
		return err
	}
	p.usable = time.Since(start)
	if err := settle(ctx, c, "the newcomer holds the past", func() bool {
		b := c.Status()
		return b.History.From == 1 && b.Checkpoint == p.home.Status().Checkpoint
	}); err != nil {
		return err
	}
	if err := p.equalise(ctx, c); err != nil {
		return err
	}
	p.catching = time.Since(start)
	return p.mend(ctx, c)
}

// equalise waits until both nodes are equal. It asks for a sync again and
// again, each of which ends when a session in progress has, so that the waiting
// itself costs the nodes nothing.
func (p *pair) equalise(ctx context.Context, c *node.Community) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		got, err := c.Sync(ctx)
		if err != nil {
			return err
		}
		a, b := p.home.Status(), c.Status()
		if b.Trouble != "" {
			return errors.New(b.Trouble)
		}
		if got.Peers > 0 && a.Provisional == 0 && b.Provisional == 0 && a.Checkpoint == b.Checkpoint {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting until both nodes are equal: %w; source %+v, newcomer %+v", ctx.Err(), a, b)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// mendTries is how often mend tries: the nodes may sync by themselves just
// before they are asked to, and then there is nothing to measure.
const mendTries = 3

// mend measures how long the source takes to fetch ballots that only the
// newcomer holds.
func (p *pair) mend(ctx context.Context, c *node.Community) error {
	for range mendTries {
		p.round++
		records, err := p.revote(p.diff, p.round)
		if err != nil {
			return err
		}
		if err := bring(ctx, c, records); err != nil {
			return err
		}
		var got node.SyncReport
		p.mending, err = timed(func() error {
			got, err = p.home.Sync(ctx)
			return err
		})
		if err != nil {
			return err
		}
		if err := p.equalise(ctx, c); err != nil {
			return err
		}
		if got.Received >= len(records) {
			return nil
		}
	}
	return fmt.Errorf("in %d tries no sync of the source brought all that the newcomer held", mendTries)
}
