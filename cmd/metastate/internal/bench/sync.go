package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/metastate-p2p/metastate/node"
)

// stdlibSample bounds the signatures verified by crypto/ed25519 in each run: a
// rate needs no more.
const stdlibSample = 8192

// catchUp measures sync over TCP on loopback between two nodes that keep their
// files on disk and share this machine's processors.
//
// Catch-up: a newcomer is admitted to a community of Options.Records records
// and fetches them all. The time runs from its admission until it has the same
// checkpoint, with the same state root, and nothing that is not final: so every
// record was received, verified, stored durably, and every checkpoint
// recomputed.
//
// Difference: the newcomer, running, is given Options.Diff further ballots, and
// the other node fetches them by one sync.
func catchUp(ctx context.Context, o Options, r *report) (err error) {
	dir, err := os.MkdirTemp(o.Dir, "metastate-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	s, err := foundSource(ctx, filepath.Join(dir, "source"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.node.Close()) }()
	o.Progress(fmt.Sprintf("making a community of %d records", o.Records))
	if err := s.populate(ctx, o.Records); err != nil {
		return fmt.Errorf("making a community: %w", err)
	}
	signatures := allClaims(s.records)
	diff := min(o.Diff, len(s.ballots))
	return o.eachRun(ctx, func(run int) error {
		p := pair{source: s, diff: diff}
		if err := p.measure(ctx, filepath.Join(dir, fmt.Sprintf("newcomer-%d", run))); err != nil {
			return err
		}
		voi, err := timed(func() error { return onThreads(2, signatures, byVOI) })
		if err != nil {
			return err
		}
		sample := signatures[:min(stdlibSample, len(signatures))]
		stdlib, err := timed(func() error { return onThreads(2, sample, byStdlib) })
		if err != nil {
			return err
		}
		p.report(r, len(s.records), voi, stdlib*time.Duration(len(signatures))/time.Duration(len(sample)))
		return nil
	})
}

// A pair is a source and a newcomer, and what one run found of them.
type pair struct {
	*source
	diff int

	joining, catching, mending time.Duration
}

func (p *pair) report(r *report, n int, voi, stdlib time.Duration) {
	ours := perSecond(n, p.catching)
	r.figure("catchUpPerSecond", "fresh node catches up, verified and durable", "records/s", ours)
	r.figure("catchUpSeconds", fmt.Sprintf("the same, %d records", n), "s", p.catching.Seconds())
	r.figure("joinSeconds", "before it: knocking until admitted", "s", p.joining.Seconds())
	r.figure("voiPerSecond2", "bound: curve25519-voi batches alone, 2 threads", "records/s", perSecond(n, voi))
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
	n, err := openNode(ctx, dir)
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
