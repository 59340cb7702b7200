package audit

import (
	"errors"
	"fmt"
	"regexp"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/bundle"
	"github.com/metastate-p2p/metastate/protocol/decision"
)

// Names of steps, in their order.
const (
	History   = "history"   // every checkpoint follows from its records, and a quorum signed it
	Roll      = "roll"      // the electorate is who had a voice when the vote opened
	Keys      = "keys"      // of a secret vote: the trustees' messages make its key
	Ballots   = "ballots"   // each that counts is by one of the electorate, in time, and proved
	Seal      = "seal"      // the closing checkpoint names exactly these ballots
	Aggregate = "aggregate" // of a secret vote: their sum is the one that was sealed
	Shares    = "shares"    // of a secret vote: enough trustees opened that sum, and no other
	Result    = "result"    // counted anew, it is the result that was declared
)

// Errors that say that there is nothing to audit. Their texts are for people.
var (
	// ErrPartial: the history does not begin with the genesis.
	ErrPartial = errors.New("the history does not begin with the genesis")
	// ErrMetastate: the history is of another metastate than was asked for.
	ErrMetastate = errors.New("the history is of another metastate")
	// ErrNoProposal: the history is sound and has no such proposal.
	ErrNoProposal = errors.New("the history has no such proposal")
	// ErrNotOver: the history is sound, and the vote has no result yet.
	ErrNotOver = errors.New("the vote is not over")
	// ErrNoVote: the proposal ended before there was a vote.
	ErrNoVote = errors.New("the proposal never came to a vote")
)

// A Config says what to audit, and how.
type Config struct {
	Proposal  protocol.ID
	Metastate protocol.ID // that the history must be of; zero: whichever it is of
	// Each calls do for each number below n and returns when all calls have. It may
	// make them at the same time. Nil makes them one after another.
	Each func(n int, do func(i int))
}

// A Step is one thing that must hold.
type Step struct {
	Name   string
	Pass   bool
	Detail string      // in words: what was found, or what is wrong
	Record protocol.ID // at fault: a record, or a checkpoint; zero if none or unknown
	Offset *int64      // where the fault lies in the file, if no id is known
}

// A Report is what an audit found.
type Report struct {
	Metastate  protocol.ID
	Checkpoint protocol.Ref   // the last that was recomputed and holds
	Records    uint64         // read, each with good signatures
	Poll       *decision.Poll // as the records lead to it; nil if the history breaks off before it
	Cast       uint64         // ballots that checkpoints cover
	Refused    map[protocol.Rule]uint64
	Result     *decision.Result // as counted anew; nil if it was not
	Steps      []Step

	// Names are what the candidates of an election were called when it closed, by
	// their ids as text; nil of another vote.
	Names map[string]string
}

// Pass reports whether every step holds.
func (r *Report) Pass() bool {
	for _, s := range r.Steps {
		if !s.Pass {
			return false
		}
	}
	return true
}

// Fault is the first step that does not hold, nil if all do.
func (r *Report) Fault() *Step {
	for i := range r.Steps {
		if !r.Steps[i].Pass {
			return &r.Steps[i]
		}
	}
	return nil
}

// Run audits a vote. What is wrong with the history or the vote is in the report;
// errors wrap those above, or are the underlying reader's.
func Run(src *bundle.Reader, c Config) (Report, error) {
	r, err := gather(src, c)
	if err != nil {
		return Report{}, fmt.Errorf("audit: %w", err)
	}
	return r.report()
}

// gather recomputes the history, and gathers what concerns the vote.
func gather(src *bundle.Reader, c Config) (*replay, error) {
	if c.Each == nil {
		c.Each = func(n int, do func(i int)) {
			for i := range n {
				do(i)
			}
		}
	}
	m, known := src.Manifest()
	switch {
	case known && m.From > 0:
		return nil, fmt.Errorf("%w: it goes on from checkpoint %d", ErrPartial, m.From)
	case known && !c.Metastate.IsZero() && m.Metastate != c.Metastate:
		return nil, fmt.Errorf("%w: %s", ErrMetastate, m.Metastate)
	}
	r := newReplay(src, c, m.Metastate, newTrail(c))
	return r, r.read()
}

// report judges the vote.
func (r *replay) report() (Report, error) {
	t := r.trail
	out := Report{Metastate: r.metastate, Checkpoint: r.tip.Ref(), Records: r.records, Poll: t.poll}
	if sound := r.fault == nil && r.lie == ""; sound && (t.closing == nil || t.poll.Result == nil) {
		return out, t.notOver()
	}
	out.Steps = append(out.Steps, r.step())
	out.Steps = append(out.Steps, t.judge(&out)...)
	return out, nil
}

// A fault is what is wrong, and with what.
type fault struct {
	detail string
	record protocol.ID
	offset *int64
}

func (f *fault) step(name string) Step {
	return Step{Name: name, Detail: f.detail, Record: f.record, Offset: f.offset}
}

func pass(name, format string, args ...any) Step {
	return Step{Name: name, Pass: true, Detail: fmt.Sprintf(format, args...)}
}

func fail(name string, record protocol.ID, format string, args ...any) Step {
	return Step{Name: name, Detail: fmt.Sprintf(format, args...), Record: record}
}

// prefixes are what errors of other packages begin with, for programmers.
var prefixes = regexp.MustCompile(`^(?:(?:certificate|charter|checkpoint|committee|count|dagcbor|decision|keygen|protocol|secret|state): )+(?:[a-z]+ing [a-z ]+: )?(?:height [0-9]+: )?`)

// because is an error in words for people.
func because(err error) string { return prefixes.ReplaceAllString(err.Error(), "") }

func number(n uint64, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
