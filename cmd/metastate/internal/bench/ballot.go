package bench

import (
	"context"
	"fmt"
	"runtime"
	"time"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/dagcbor"
	"github.com/metastate-p2p/metastate/protocol/decision"
	"github.com/metastate-p2p/metastate/protocol/decision/secret"
	"github.com/metastate-p2p/metastate/protocol/decision/secret/group"
	"github.com/metastate-p2p/metastate/protocol/decision/secret/keygen"
)

// A sort of secret ballots, all of five options. The statements that each proves
// (SPEC §8.5 rule 13) are what the bound is made of.
type sort struct {
	key, what, method string
	shape             secret.Shape
	marks             []uint8
	bar               string
	statements        []statement
}

// A statement is so many proofs that some ciphertexts hold one of so many lists of
// numbers.
type statement struct{ times, ciphertexts, lists int }

var sorts = [...]sort{
	{"one", "a choice of one", "plurality", secret.Shape{Kind: secret.One}, []uint8{0, 0, 1, 0, 0}, "≥ 500", []statement{{1, 5, 5}}},
	{"approval", "approvals", "approval", secret.Shape{Kind: secret.Approvals}, []uint8{1, 0, 1, 1, 0}, "", []statement{{5, 1, 2}}},
	{"score", "scores to 10", "score", secret.Shape{Kind: secret.Scores, Top: 10}, []uint8{0, 10, 3, 1, 2}, "", []statement{{5, 1, 11}}},
	{
		"quadratic", "100 quadratic credits", "quadratic",
		secret.Shape{Kind: secret.Quadratic, Top: 100},
		[]uint8{9, 0, 3, 1, 2},
		"",
		[]statement{{5, 2, 11}, {7, 1, 2}, {1, 1, 1}},
	},
	{"ranking", "a ranking", "schulze", secret.Shape{Kind: secret.Ranking}, []uint8{2, 1, 3, 2, 0}, "", []statement{{10, 3, 9}}},
}

const (
	verifiedAtOnce = 250 * time.Millisecond // for how long a rate is taken, about
	madeAtOnce     = 20
)

// ballots measures secret ballots, made, verified and audited, and votes in the
// open, verified and counted.
func ballots(ctx context.Context, o Options, r *report) error {
	o.Progress("seven trustees make a key")
	keys, err := newKeys()
	if err != nil {
		return err
	}
	v, err := prepareVotes(ctx, o)
	if err != nil {
		return err
	}
	return o.eachRun(ctx, func(int) error {
		for _, s := range sorts {
			if err := s.measure(o, r, keys); err != nil {
				return fmt.Errorf("%s: %w", s.what, err)
			}
		}
		return v.measure(ctx, r)
	})
}

// measure takes the figures of one sort of ballots.
func (s sort) measure(o Options, r *report, keys *keygen.Keys) error {
	u, err := newUrn(keys, s.method, s.shape)
	if err != nil {
		return err
	}
	var made []float64
	var records []*protocol.Record
	for i := range min(madeAtOnce, o.Records) {
		took, err := timed(func() error {
			rec, err := u.cast(i, s.marks)
			records = append(records, rec)
			return err
		})
		if err != nil {
			return err
		}
		made = append(made, took.Seconds()*1e3)
	}
	body, err := protocol.Body[decision.BallotBody](records[0])
	if err != nil {
		return err
	}
	if s.key == "one" { // the one with bars
		r.barred("oneBodyBytes", "secret ballot, "+s.what+" of 5: its record's body", "bytes", "≤ 1100", float64(len(dagcbor.Encode(body))))
		r.figure("oneRecordBytes", "the whole record", "bytes", float64(len(records[0].Inner())))
		r.barred("oneMakeMillis", "made and signed", "ms", "≤ 10", median(made))
	} else {
		r.figure(s.key+"RecordBytes", s.what+": the whole record", "bytes", float64(len(records[0].Inner())))
		r.figure(s.key+"MakeMillis", s.what+": made and signed", "ms", median(made))
	}
	return s.rates(o, r, u, records)
}

// rates are how many ballots a second are verified, on one core and on all, and
// how many times the bare group operations of a ballot are done.
func (s sort) rates(o Options, r *report, u *urn, records []*protocol.Record) error {
	n, err := enough(o, func() error {
		_, err := u.check(records[0])
		return err
	})
	if err != nil {
		return err
	}
	again := make([]*protocol.Record, n)
	for i := range again {
		again[i] = records[i%len(records)]
	}
	verify := func(part []*protocol.Record) error {
		for _, rec := range part {
			if _, err := u.check(rec); err != nil {
				return err
			}
		}
		return nil
	}
	one, err := timed(func() error { return inParts(1, again, verify) })
	if err != nil {
		return err
	}
	bare, err := timed(func() error {
		return inParts(1, again, func(part []*protocol.Record) error {
			for range part {
				s.groupOperations(u.keys.Public())
			}
			return nil
		})
	})
	if err != nil {
		return err
	}
	r.barred(s.key+"PerSecond1", s.what+": verified, 1 thread", "ballots/s", s.bar, perSecond(n, one))
	r.figure(s.key+"GroupPerSecond1", "bound: its group operations alone, 1 thread", "ballots/s", perSecond(n, bare))
	r.ratio(s.key+"ToGroup", s.what+": verification ÷ bound", "", bare.Seconds()/one.Seconds())
	if s.key != "one" {
		return nil
	}
	cores := runtime.NumCPU()
	all := make([]*protocol.Record, 0, n*cores)
	for range cores {
		all = append(all, again...)
	}
	together, err := timed(func() error { return inParts(cores, all, verify) })
	if err != nil {
		return err
	}
	r.figure("onePerSecondAll", fmt.Sprintf("%s: verified, %s", s.what, count(cores, "thread")), "ballots/s", perSecond(len(all), together))
	r.ratio("oneScaling", "rate on all cores ÷ (rate on one × cores)", "", one.Seconds()/together.Seconds())
	return nil
}

// enough is how often something is done in verifiedAtOnce, at most once for each
// of the records asked for.
func enough(o Options, f func() error) (int, error) {
	took, err := timed(f)
	return min(max(int(verifiedAtOnce/took), 1), o.Records), err
}

// groupOperations does the multi-scalar multiplications that verifying a ballot
// takes, with as many terms, and nothing else: no point is read or written,
// nothing hashed.
func (s sort) groupOperations(key group.Point) {
	x := group.Number(1<<63 - 25).Mul(group.Number(1<<63 - 165)).Mul(group.Number(1<<63 - 259)).Mul(group.Number(1<<63 - 301))
	scalars, points := []group.Scalar{x, x, x, x, x}, []group.Point{key, key, key, key, key}
	for _, st := range s.statements {
		for range st.times {
			if t := st.ciphertexts; t > 1 { // both halves of the weighed ciphertexts
				group.VarTimeCombine(scalars[:t], points[:t])
				group.VarTimeCombine(scalars[:t], points[:t])
			}
			for range st.lists {
				group.VarTimeWithBase(x, key, x)
				group.VarTimeCombine(scalars[:3], points[:3])
			}
		}
	}
}

// inParts calls f for short parts of a list on so many threads, and lets the
// program use no more than these meanwhile.
func inParts[T any](threads int, list []T, f func([]T) error) error {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(threads))
	const part = 16
	return inParallel((len(list)+part-1)/part, func(i int) error {
		return f(list[i*part : min((i+1)*part, len(list))])
	})
}
