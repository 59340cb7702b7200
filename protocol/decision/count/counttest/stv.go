package counttest

import (
	"math/big"
	"slices"

	"pgregory.net/rapid"

	"github.com/metastate-p2p/metastate/protocol/decision/count"
)

// Transferable are laws of the single transferable vote with a Droop quota: it
// fills as many seats as it can, loses no vote, and gives those who rank a set
// of options above all others as many of the seats as they have quotas.
func Transferable(t *rapid.T, q count.Question, ballots []count.Ballot, r count.Result) {
	eligible, valid := uint64(0), uint64(0)
	for i := range q.Options {
		if !q.Out(i) {
			eligible++
		}
	}
	for _, b := range ballots {
		for i, m := range b.Marks {
			if m > 0 && !q.Out(i) {
				valid += b.N
				break
			}
		}
	}
	if valid == 0 {
		if len(r.Winners) > 0 {
			t.Fatalf("nobody elected %v", r.Winners)
		}
		return
	}
	if want := min(q.Seats, eligible); uint64(len(r.Winners)) != want {
		t.Fatalf("%d elected of %d", len(r.Winners), want)
	}
	for i, w := range r.Winners {
		if o := slices.Index(q.Options, w); q.Out(o) || slices.Contains(r.Winners[:i], w) {
			t.Fatalf("%s is withdrawn, or elected twice", w)
		}
	}
	conserved(t, valid, r)
	solid(t, q, ballots, valid, r)
}

// conserved requires that each round tells of every ballot, but for what is
// rounded when figures are written.
func conserved(t *rapid.T, valid uint64, r count.Result) {
	for _, round := range r.Rounds {
		sum := new(big.Rat)
		for _, f := range slices.Concat(round.Lines, round.Facts) {
			if v, ok := new(big.Rat).SetString(f.Value); ok && f.Name != "quota" && f.Name != "surplus" {
				sum.Add(sum, v)
			}
		}
		if sum.Sub(sum, new(big.Rat).SetUint64(valid)); sum.Abs(sum).Cmp(big.NewRat(1, 1e15)) > 0 {
			t.Fatalf("%s of %d ballots are nowhere or too many: %+v", sum.FloatString(18), valid, round)
		}
	}
}

// solid finds for each set of options who ranks exactly them before all others.
func solid(t *rapid.T, q count.Question, ballots []count.Ballot, valid uint64, r count.Result) {
	for set := range 1 << len(q.Options) {
		var supporters, size, seats uint64
		for i, o := range q.Options {
			if set>>i&1 == 1 {
				if q.Out(i) {
					size = 0
					break
				}
				if size++; slices.Contains(r.Winners, o) {
					seats++
				}
			}
		}
		for _, b := range ballots {
			if before(q, b.Marks, set) {
				supporters += b.N
			}
		}
		// A whole vote above so many quotas leaves room for what is cut off.
		quotas := uint64(0)
		for size > 0 && quotas < min(size, q.Seats) && (supporters-min(supporters, 1))*(q.Seats+1) > (quotas+1)*valid+q.Seats {
			quotas++
		}
		if seats < quotas {
			t.Fatalf("%d of %d rank %b first and get %d of %d seats: %v", supporters, valid, set, seats, q.Seats, r.Winners)
		}
	}
}

// before reports whether marks rank each option of a set, and none before them.
func before(q count.Question, m count.Marks, set int) bool {
	last, next := uint8(0), uint8(255)
	for i, v := range m {
		switch {
		case q.Out(i):
		case set>>i&1 == 1 && v == 0:
			return false
		case set>>i&1 == 1:
			last = max(last, v)
		case v > 0:
			next = min(next, v)
		}
	}
	return last > 0 && last < next
}
