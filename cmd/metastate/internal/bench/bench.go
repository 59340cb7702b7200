package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// MaxRuns is the most runs of a benchmark: each casts a voter's next ballots, at
// most three of them, and a voter's ballots are numbered up to 64.
const MaxRuns = 20

// Options say how much to measure. Zero fields take the benchmark's defaults.
type Options struct {
	// Records is the size of what is measured, in records: default 20,000, for
	// advance 1,000,000, its longest history, as for reconcile; for gossip 2000.
	// For idle it is of metastates, 1000; for ballot of secret ballots, 10,000, and
	// of a hundred times as many in the open, at most 1,000,000.
	Records int
	// Diff is how many records one of two running nodes lacks in sync, default
	// 1000, and at most the ballots among the records; and in how many two sets
	// differ in reconcile, default 1, 100 and 10,000, one after the other.
	Diff int
	// Runs is how often each figure is taken, default 5, at most [MaxRuns].
	Runs int
	// Dir is where files are written, on the disk to be measured. Each
	// benchmark makes a folder of its own there and removes it. Empty: the
	// system's folder for temporary files.
	Dir string
	// Progress is told what is being done, in words. Nil: nobody.
	Progress func(string)
}

// A benchmark takes so many records by default, and at least the fewest.
type benchmark struct {
	name            string
	records, fewest int
	run             func(context.Context, Options, *report) error
}

var benchmarks = [...]benchmark{
	{"verify", 20_000, 2, verify},
	{"store", 20_000, 1, storage},
	{"advance", 1_000_000, 2 * leastHistory, advance},
	{"sync", 20_000, 20, catchUp},
	{"gossip", 2000, 20, spread},
	{"reconcile", 1_000_000, 1, compare},
	{"idle", 1000, 2, idle},
	{"ballot", 10_000, trustees + 1, ballots},
}

// Names lists the benchmarks.
func Names() []string {
	var names []string
	for _, b := range benchmarks {
		names = append(names, b.name)
	}
	return names
}

// ErrUsage is wrapped when the options ask for what can't be measured.
var ErrUsage = errors.New("cannot be measured")

// Run runs the benchmark of a name (see [Names]). It takes seconds to minutes,
// and ends early with ctx. Meanwhile it changes GOMAXPROCS: nothing else should
// run in the process.
func Run(ctx context.Context, name string, opts Options) (Result, error) {
	at := slices.IndexFunc(benchmarks[:], func(b benchmark) bool { return b.name == name })
	if at < 0 {
		return Result{}, fmt.Errorf("bench: %w: there is no benchmark %q, only %s", ErrUsage, name, strings.Join(Names(), ", "))
	}
	b := benchmarks[at]
	opts, err := opts.complete(b.records, b.fewest)
	if err != nil {
		return Result{}, fmt.Errorf("bench: %s: %w", name, err)
	}
	var r report
	if err := b.run(ctx, opts, &r); err != nil {
		return Result{}, fmt.Errorf("bench: %s: %w", name, err)
	}
	return r.result(name, opts.Runs), nil
}

func (o Options) complete(records, fewest int) (Options, error) {
	if o.Records == 0 {
		o.Records = records
	}
	if o.Runs == 0 {
		o.Runs = 5
	}
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
	switch {
	case o.Records < fewest || o.Records > 10_000_000:
		return o, fmt.Errorf("%w: %d records, wanted %d to 10,000,000", ErrUsage, o.Records, fewest)
	case o.Diff < 0:
		return o, fmt.Errorf("%w: a difference of %d records", ErrUsage, o.Diff)
	case o.Runs < 0 || o.Runs > MaxRuns:
		return o, fmt.Errorf("%w: %d runs, wanted 1 to %d", ErrUsage, o.Runs, MaxRuns)
	}
	return o, nil
}

// eachRun calls f once for each run, until one fails or ctx ends.
func (o Options) eachRun(ctx context.Context, f func(run int) error) error {
	for run := range o.Runs {
		o.Progress(fmt.Sprintf("run %d of %d", run+1, o.Runs))
		if err := errors.Join(ctx.Err(), f(run)); err != nil {
			return err
		}
	}
	return nil
}
