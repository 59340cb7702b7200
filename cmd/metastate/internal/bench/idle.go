package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"time"

	"github.com/metastate-p2p/metastate/cmd/metastate/internal/garbage"
	"github.com/metastate-p2p/metastate/node"
)

// idleLook is how long a node is watched for each metastate that it has, up to
// idleMost.
const (
	idleLook = 20 * time.Millisecond
	idleMost = 20 * time.Second
	askedOf  = 40 // metastates that are asked something, one after the other
)

// idle measures a node in which nothing happens: with one metastate, and with so
// many on a shared presence, each founded here. The node is of this process, so
// that memory is what the whole program has resident.
func idle(ctx context.Context, o Options, r *report) error {
	if _, err := resident(); err != nil {
		return fmt.Errorf("%w: %w", ErrUsage, err)
	}
	for _, n := range []int{1, o.Records} {
		if err := idleNode(ctx, o, n, r); err != nil {
			return err
		}
	}
	return nil
}

// idleNode measures a node of n metastates.
func idleNode(ctx context.Context, o Options, n int, r *report) (err error) {
	dir, err := os.MkdirTemp(o.Dir, "metastate-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	presence := ""
	if n > 1 {
		presence = "bench"
	}
	gc := garbage.Tighten()
	defer gc.Release()
	nd, err := openNode(ctx, dir, gc.Bulk)
	if err != nil {
		return err
	}
	for i := range n {
		if i%50 == 0 {
			o.Progress(fmt.Sprintf("%d of %d metastates", i, n))
		}
		_, err := nd.Found(ctx, node.FoundRequest{Name: fmt.Sprint("Bench ", i), As: "Founder", Presence: presence})
		if err = errors.Join(err, ctx.Err()); err != nil {
			return errors.Join(err, nd.Close())
		}
	}
	if err := nd.Close(); err != nil {
		return err
	}
	return o.eachRun(ctx, func(int) error {
		nd, err := reopenNode(ctx, dir, gc.Bulk)
		if err != nil {
			return err
		}
		return errors.Join(watchIdle(ctx, nd, n, r), nd.Close())
	})
}

// watchIdle looks at a node that has just begun, and then at one that was asked
// about metastate after metastate.
func watchIdle(ctx context.Context, nd *node.Node, n int, r *report) error {
	bar := map[bool]string{true: "≤ 60", false: "≤ 200"}[n == 1]
	key := func(name string) string { return fmt.Sprintf("%s%d", name, n) }
	of := fmt.Sprintf(", %d metastates", n)
	debug.FreeOSMemory()
	cpu, began := processTime(), time.Now()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(min(max(time.Duration(n)*idleLook, time.Second), idleMost)):
	}
	percent := 100 * float64(processTime()-cpu) / float64(time.Since(began))
	debug.FreeOSMemory()
	rest, err := resident()
	if err != nil {
		return err
	}
	all := nd.Communities()
	for _, c := range all[:min(askedOf, len(all))] {
		if c.Snapshot() == nil {
			return errors.New("a metastate does not answer")
		}
	}
	debug.FreeOSMemory()
	awake, err := resident()
	if err != nil {
		return err
	}
	r.barred(key("idleMegabytes"), "resident memory at rest"+of, "MB", bar, rest/1e6)
	r.barred(key("idlePercent"), "share of a core at rest"+of, "%", "≤ 0.5", percent)
	r.barred(key("awakeMegabytes"), fmt.Sprintf("resident memory after %d were asked something", min(askedOf, n))+of, "MB", bar, awake/1e6)
	r.barred(key("awakeStores"), "stores open then"+of, "", "≤ 16", float64(nd.OpenStores()))
	return nil
}
