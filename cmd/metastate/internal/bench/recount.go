package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/decision"
	counting "github.com/metastate-p2p/metastate/protocol/decision/count"
	"github.com/metastate-p2p/metastate/protocol/decision/count/plurality"
	"github.com/metastate-p2p/metastate/protocol/decision/count/schulze"
	"github.com/metastate-p2p/metastate/protocol/decision/count/scottishstv"
)

const (
	openEach  = 100       // so many open ballots for each secret one
	mostOpen  = 1_000_000 // at most
	candidate = 20        // options that are ranked
)

// votes are whole votes with what they must come to.
type votes struct {
	secret *election

	open   [][]byte // ballots as nodes keep them, inner form
	picked []uint64 // what these say of each option

	ranked []counting.Ballot
}

// prepareVotes makes the ballots that are counted in each run.
func prepareVotes(ctx context.Context, o Options) (v *votes, err error) {
	n := min(o.Records*openEach, mostOpen)
	v = &votes{picked: make([]uint64, options)}
	o.Progress(fmt.Sprintf("holding a secret vote of %d", o.Records))
	if v.secret, err = hold(ctx, o.Records); err != nil {
		return nil, err
	}
	o.Progress(fmt.Sprintf("signing %d open ballots", n))
	names, poll := optionNames(options), numbered("poll", 0)
	v.open, err = inners(ctx, n, v.picked, func(i, option int) (*protocol.Record, error) {
		key := newKey()
		return protocol.Sign(protocol.Header{
			Metastate: protocol.Sum([]byte("bench")), Kind: protocol.Ballot, Persona: numbered("persona", i), Key: key.Public(),
			Subject: poll, Checkpoint: protocol.Ref{Height: 9, ID: numbered("checkpoint", 9)}, Time: 1_800_000_000,
		}, decision.BallotBody{Choice: names[option]}, nil, key)
	})
	v.ranked = rankings(n)
	return v, err
}

// inners makes n ballots, each of one option, and adds up in sums how many chose
// each.
func inners(ctx context.Context, n int, sums []uint64, f func(i, option int) (*protocol.Record, error)) ([][]byte, error) {
	out := make([][]byte, n)
	for i := range n {
		sums[i*i%7%len(sums)]++
	}
	return out, inParallel(n, func(i int) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		r, err := f(i, i*i%7%len(sums))
		if err == nil {
			out[i] = r.Inner()
		}
		return err
	})
}

// rankings are ballots that rank all of the candidates, so that nearly all differ.
func rankings(n int) []counting.Ballot {
	random := rand.New(rand.NewPCG(1, 2))
	out := make([]counting.Ballot, n)
	for i := range out {
		marks := make(counting.Marks, candidate)
		for rank := range candidate {
			o := min(random.IntN(candidate), random.IntN(candidate)) // some are liked better
			for marks[o] != 0 {
				o = (o + 1) % candidate
			}
			marks[o] = uint8(rank + 1)
		}
		out[i] = counting.Ballot{Marks: marks, N: 1}
	}
	return out
}

var errCount = errors.New("the count is not what was voted")

// measure counts each vote once, from bytes.
func (v *votes) measure(ctx context.Context, r *report) error {
	took, err := timed(v.secret.audit)
	if err != nil {
		return fmt.Errorf("a secret vote: %w", err)
	}
	r.barred("auditSeconds", fmt.Sprintf("a secret vote of %d audited from the whole history", len(v.secret.members)), "s", "≤ 15 for 10000", took.Seconds())
	if took, err = timed(v.recount); err != nil {
		return fmt.Errorf("open ballots: %w", err)
	}
	r.barred("openSeconds", fmt.Sprintf("%d open ballots read, verified and counted", len(v.open)), "s", "≤ 30 for 1000000", took.Seconds())
	for _, x := range []struct {
		key, what, bar string
		method         counting.Method
		seats          uint64
	}{
		{"schulzeSeconds", "schulze", "≤ 2 for 1000000", schulze.Method{}, 1},
		{"scottishSeconds", "scottish-stv, 5 seats", "≤ 3 for 1000000", scottishstv.Method{}, 5},
	} {
		if err := ctx.Err(); err != nil {
			return err
		}
		q := counting.Question{Options: optionNames(candidate), Seats: x.seats, Cast: uint64(len(v.ranked)), Electorate: uint64(len(v.ranked)), Order: counting.AsListed(candidate)}
		var result counting.Result
		took, err := timed(func() (err error) {
			result, err = counting.Count(x.method, q, v.ranked)
			return err
		})
		if err == nil && uint64(len(result.Winners)) != x.seats {
			err = errCount
		}
		if err != nil {
			return fmt.Errorf("%s: %w", x.what, err)
		}
		r.barred(x.key, fmt.Sprintf("%s: %d ballots on %d options counted", x.what, len(v.ranked), candidate), "s", x.bar, took.Seconds())
	}
	return nil
}

// recount verifies every open ballot, keeps the last of each voter, and counts.
func (v *votes) recount() error {
	type last struct {
		seq    uint64
		choice string
	}
	var mu sync.Mutex
	by := make(map[protocol.ID]last, len(v.open))
	err := onThreads(runtime.NumCPU(), v.open, func(part [][]byte) error {
		records, errs := protocol.ParseBatch(nil, part)
		if err := errors.Join(errs...); err != nil {
			return err
		}
		choices := make([]last, len(records))
		for i, rec := range records {
			body, err := protocol.Body[decision.BallotBody](rec)
			if err != nil {
				return err
			}
			choices[i] = last{rec.Header().Seq, body.Choice}
		}
		mu.Lock()
		defer mu.Unlock()
		for i, rec := range records {
			if was, ok := by[rec.Author()]; !ok || was.seq < choices[i].seq {
				by[rec.Author()] = choices[i]
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	method, q := plurality.Method{}, counting.Question{
		Options: optionNames(options), Seats: 1, Cast: uint64(len(by)), Electorate: uint64(len(by)), Order: counting.AsListed(options),
	}
	sums := map[string]uint64{}
	for _, l := range by {
		sums[l.choice]++
	}
	var list []counting.Ballot
	for choice, n := range sums {
		marks, err := method.Form(q).Parse(q.Options, choice)
		if err != nil {
			return err
		}
		list = append(list, counting.Ballot{Marks: marks, N: n})
	}
	result, err := counting.Count(method, q, list)
	if err != nil {
		return err
	}
	for i, o := range result.Votes {
		if o.N != v.picked[i] {
			return errCount
		}
	}
	return nil
}
