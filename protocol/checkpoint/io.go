package checkpoint

import (
	"fmt"
	"time"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/certificate"
)

// Step is where a clerk stands in a round (Algorithm 1).
type Step uint8

// The steps of a round, in order.
const (
	StepPropose   Step = iota // waiting for the round's proposal
	StepPrevote               // prevoted, waiting for a quorum of prevotes
	StepPrecommit             // precommitted, waiting for a quorum of precommits
)

func (s Step) String() string {
	switch s {
	case StepPropose:
		return "propose"
	case StepPrevote:
		return "prevote"
	case StepPrecommit:
		return "precommit"
	}
	return fmt.Sprintf("step %d", uint8(s))
}

// Input is what a driver tells a machine: [Start], [Propose], [Received],
// [TimedOut] or [Judged].
type Input interface{ input() }

// Start is the first input of a machine, after [New] as after [Resume].
type Start struct{}

// Propose answers [NeedValue] with the encoding of a value that the driver
// itself finds valid and fresh. Never answering costs the round, no more.
type Propose struct {
	Round uint32
	Value []byte
}

// Received brings a message from another clerk.
type Received struct{ Message *Message }

// TimedOut reports that the time asked for by [Schedule] has passed.
type TimedOut struct {
	Step  Step
	Round uint32
}

// Judged answers [Judge], with the same Value and Fresh.
type Judged struct {
	Value protocol.ID
	Fresh bool
	OK    bool
}

func (Start) input()    {}
func (Propose) input()  {}
func (Received) input() {}
func (TimedOut) input() {}
func (Judged) input()   {}

// Output is what a machine asks of its driver: [Persist], [Broadcast],
// [NeedValue], [Judge], [Schedule], [Decided], [Refused] or [Accuse]. Outputs
// are carried out in the order given.
type Output interface{ output() }

// Persist must be on stable storage before any later output is looked at. It
// replaces the record before it, and [Resume] takes it.
type Persist struct{ Record []byte }

// Broadcast sends a message to all other clerks. Losing it is no harm:
// [Machine.Messages] are sent again anyway.
type Broadcast struct{ Message *Message }

// NeedValue asks for a value to propose; [Propose] answers.
type NeedValue struct{ Round uint32 }

// Judge asks whether a value is valid; [Judged] answers, when the driver knows.
//
// Timeless (Fresh false): it extends the cover of the value before, its records
// are held (fetched first if not) and the recomputed state root is equal. The
// answer must not depend on the clock or on what else is held, nor change.
//
// Fresh: that, and asOf is within bounds of this clerk's clock, and no record
// is left out that this clerk held for long before the height began.
type Judge struct {
	ID    protocol.ID
	Value []byte
	Fresh bool
}

// Schedule asks for [TimedOut] with the same Step and Round after a time.
type Schedule struct {
	Step  Step
	Round uint32
	After time.Duration
}

// Decided ends the machine: the value is final.
type Decided struct{ Certificate certificate.Certificate }

// Refused ends the machine: a quorum made final what this clerk judged
// invalid. Clerks conspire or software differs. The driver stops, keeps the
// certificate and its own judgement, and says so loudly.
type Refused struct{ Certificate certificate.Certificate }

// Accuse hands over proof that a clerk signed two different things.
type Accuse struct{ Evidence Evidence }

func (Persist) output()   {}
func (Broadcast) output() {}
func (NeedValue) output() {}
func (Judge) output()     {}
func (Schedule) output()  {}
func (Decided) output()   {}
func (Refused) output()   {}
func (Accuse) output()    {}

// Verdict is what became of an input.
type Verdict uint8

// Verdicts. Only Foreign and Conflicting speak against a sender, and
// Conflicting against the signer, not against who passed it on.
const (
	Accepted     Verdict = iota
	Duplicate            // known already
	Conflicting          // differs from what its signer signed before: see [Accuse]
	HeightBehind         // of an earlier height: send its author that height's certificate
	HeightAhead          // of a later height: this node must catch up by certificates
	RoundBehind          // of an old round that no rule needs
	RoundAhead           // of a round ahead, over what is buffered for one clerk
	Foreign              // of another metastate or clerk set
	Unasked              // answers no question that is open
	Unfit                // [Propose] with no value of this height
	Over                 // the machine has not started, or has ended
)

func (v Verdict) String() string {
	names := [...]string{
		"accepted", "duplicate", "conflicting", "height behind", "height ahead",
		"round behind", "round ahead", "foreign", "unasked", "unfit", "over",
	}
	if int(v) < len(names) {
		return names[v]
	}
	return fmt.Sprintf("verdict %d", uint8(v))
}
