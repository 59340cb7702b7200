package bundle

import (
	"cmp"
	"errors"
	"io"
	"slices"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/protocol"
)

// A Report is what [Verify] found.
type Report struct {
	Metastate    protocol.ID // zero if the manifest is unreadable
	Records      uint64      // undamaged and validly signed
	Certificates uint64      // undamaged; not verified
	Bytes        int64       // read
	Problems     []Problem   // by offset
	Unlisted     uint64      // problems beyond the MaxProblems listed
}

// MaxProblems is how many problems a [Report] lists; any more are counted.
const MaxProblems = 1 << 16

// OK reports whether the bundle is whole and every signature in it holds.
func (r *Report) OK() bool { return len(r.Problems) == 0 }

// Verify reads a whole bundle and verifies every block, every record's form
// and every signature in it. It needs nothing but the file: whether the signers
// had the right to say what they say is for a node to judge. The error is that
// of [NewReader] or of the underlying reader; damage is in the report.
func Verify(src io.Reader) (Report, error) {
	r, err := NewReader(src)
	if err != nil {
		return Report{}, err
	}
	return r.verify()
}

// VerifySealed is [Verify] for a sealed bundle that was unlocked.
func VerifySealed(o *Opener) (Report, error) {
	r, err := NewSealedReader(o)
	if err != nil {
		return Report{}, err
	}
	return r.verify()
}

func (r *Reader) verify() (Report, error) {
	v := verifier{keys: identity.NewVerifier(keysKnown)}
	if m, ok := r.Manifest(); ok {
		v.report.Metastate = m.Metastate
	}
	for it, p := range r.All() {
		switch {
		case p != nil:
			v.problem(*p)
		case it.Inner == nil:
			v.report.Certificates++
		default:
			v.add(it)
		}
	}
	v.flush()
	v.report.Bytes = r.size()
	slices.SortStableFunc(v.report.Problems, func(a, b Problem) int { return cmp.Compare(a.Offset, b.Offset) })
	return v.report, r.Err()
}

// A verifier gathers records into batches.
type verifier struct {
	keys   *identity.Verifier
	report Report
	items  []Item
	inners [][]byte
	size   int // bytes of inners
}

const (
	batchRecords = 1024
	batchBytes   = 1 << 20
	keysKnown    = 4096
)

func (v *verifier) problem(p Problem) {
	if len(v.report.Problems) == MaxProblems {
		v.report.Unlisted++
		return
	}
	v.report.Problems = append(v.report.Problems, p)
}

func (v *verifier) add(it Item) {
	v.items = append(v.items, it)
	v.inners = append(v.inners, it.Inner)
	if v.size += len(it.Inner); len(v.items) == batchRecords || v.size >= batchBytes {
		v.flush()
	}
}

func (v *verifier) flush() {
	recs, errs := protocol.ParseBatch(v.keys, v.inners)
	for i, rec := range recs {
		if reason := v.judge(rec, errs[i]); reason != "" {
			v.problem(Problem{v.items[i].ID, v.items[i].Offset, reason})
			continue
		}
		v.report.Records++
	}
	v.items, v.inners, v.size = v.items[:0], v.inners[:0], 0
}

// judge says what is wrong with a record, or nothing.
func (v *verifier) judge(rec *protocol.Record, err error) string {
	switch {
	case errors.Is(err, protocol.ErrBadSignature):
		return "a signature does not hold"
	case err != nil:
		return err.Error()
	case v.report.Metastate.IsZero():
		return ""
	case rec.Kind() == protocol.Genesis && rec.ID() != v.report.Metastate,
		rec.Kind() != protocol.Genesis && rec.Header().Metastate != v.report.Metastate:
		return "of another metastate than the bundle"
	}
	return ""
}
