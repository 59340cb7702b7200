// Package count defines what a counting method is. Each method is one small
// package below this one: pure, deterministic, and able to explain its result
// step by step (SPEC §8.3).
//
// # Terms
//
//   - A [Ballot] holds a mark for each option, as [Marks] says: which ones are
//     meant differs by method (1 for what was chosen, a rank, a score).
//   - A [Form] is how people write a ballot in one line, and its normal form,
//     the [Choice], in which equal ballots are equal strings. There are four:
//     [One], [Approvals], [Ranking] and [Scores].
//   - A [Question] is what is asked, with the [Params] of its method.
//   - A [Result] is the outcome, with the [Round] of each step in words and
//     figures, so that anybody can follow it with a pencil.
//
// # Guarantees
//
// A count depends on its question and on how many made each ballot, in no order.
// It uses integers and exact fractions only, touches no clock and no chance, and
// takes ballots in any order. [Count] refuses what a method can't count instead
// of guessing what was meant.
package count

import (
	"errors"
	"fmt"

	"github.com/metastate-p2p/metastate/protocol/charter"
)

// Bounds of a question and its ballots.
const (
	MaxOptions = 255
	MaxTotal   = 1 << 36 // ballots in all
)

// A Choice is a ballot's content in one line, in the normal form of its method.
type Choice string

// Marks are a ballot's marks, one for each option in order, 0 where there is
// none. In a ranking the mark is the rank from 1, equal marks are equal ranks.
type Marks []uint8

// A Ballot is how many voters made the same marks.
type Ballot struct {
	Marks Marks
	N     uint64
}

// A Question is what a poll asks.
type Question struct {
	Options    []string
	Seats      uint64 // to fill; 1 if the method elects one
	Electorate uint64 // who may vote
	Cast       uint64 // who did
	Rule       Rule
	Params     Params
	// Order settles ties: of equal options the one whose index comes first here
	// is taken, for what the step does: to elect it, to transfer its surplus, or
	// to exclude it. It has each index once.
	Order []int
	// Open leaves a seat open that a tie decides, in methods that can.
	Open bool
	// Withdrawn options are not counted, and count for nothing on ballots.
	Withdrawn []bool // by index; nil: none
}

// A Rule is the part of a charter's decision class that a count needs.
type Rule struct {
	Passes   func(yes, of uint64) bool          // whether yes is enough of the votes or the roll
	OfRoll   bool                               // the threshold is of the electorate, not of yes and no
	Quorum   func(cast, electorate uint64) bool // nil: none
	Sided    func(sided, cast uint64) bool      // whether enough of the ballots take a side; nil: any are
	Override func(consent, of uint64) bool      // whether consent is enough to pass over objections
	Words    string                             // the rule as a sentence
}

// Params are what a proposal sets of its method. The zero Params are every
// method's defaults. Each method's Check refuses those of another.
type Params struct {
	Top       uint64           `cbor:"top,omitempty" json:"top,omitempty"`           // of scores: the highest, 1..100; of quadratic votes: each voter's credits, 1..10,000
	Default   string           `cbor:"default,omitempty" json:"default,omitempty"`   // of schulze: the option that others must beat
	Majority  []Majority       `cbor:"majority,omitempty" json:"majority,omitempty"` // of schulze: by rising option
	Quorum    uint64           `cbor:"quorum,omitempty" json:"quorum,omitempty"`     // of schulze: voters who must prefer an option to the default
	Threshold charter.Fraction `cbor:"threshold,omitzero" json:"threshold,omitzero"` // of lists: least part of all votes
	Base      string           `cbor:"base,omitempty" json:"base,omitempty"`         // of largest remainders: the quota is of all votes, or of those for seated lists
	Lists     []List           `cbor:"lists,omitempty" json:"lists,omitempty"`       // of lists: their candidates, in order of options
	Balance   []Balance        `cbor:"balance,omitempty" json:"balance,omitempty"`   // of lists: by rising group
	Costs     []uint64         `cbor:"costs,omitempty" json:"costs,omitempty"`       // of equal shares: of each option; empty: 1 each
	Budget    uint64           `cbor:"budget,omitempty" json:"budget,omitempty"`     // of equal shares; 0: the seats
	Complete  string           `cbor:"complete,omitempty" json:"complete,omitempty"` // of equal shares: how the budget left over is used
}

// A Majority is how many times the votes against an option those for it must be,
// compared with the default (Debian's constitution, A.6.3).
type Majority struct {
	Option string           `cbor:"option" json:"option"`
	Ratio  charter.Fraction `cbor:"ratio" json:"ratio"` // 3/1: three to one
}

// A List is whom a party list elects, the first first. A candidate is a persona's
// id as text, or a name.
type List []Candidate

// A Candidate stands on a list.
type Candidate struct {
	Name  string `cbor:"name" json:"name"`
	Group string `cbor:"group,omitempty" json:"group,omitempty"` // for balance; empty: none
}

// A Balance is the least part of a list's seats for candidates of a group.
type Balance struct {
	Group string           `cbor:"group" json:"group"`
	Share charter.Fraction `cbor:"share" json:"share"`
}

// What a quota is of.
const (
	BaseAll    = "all"    // all votes, the default
	BaseSeated = "seated" // those for lists that reach the threshold
)

// An Option is a line of a result.
type Option struct {
	Name string `cbor:"o"`
	N    uint64 `cbor:"n"`
}

// A Result is the outcome of a count.
type Result struct {
	Outcome string   `cbor:"outcome"`           // passed, rejected or elected
	Winners []string `cbor:"winners,omitempty"` // in the order in which they were elected
	Votes   []Option `cbor:"votes"`             // of each option, as the method counts them first
	Seats   []Option `cbor:"seats,omitempty"`   // of each list
	Tied    bool     `cbor:"tied,omitempty"`    // a tie was settled, or left a seat open

	// What follows explains and is in no digest: words may be bettered.

	Rounds  []Round    `cbor:"-"`
	Matrix  [][]uint64 `cbor:"-"` // of schulze: how many prefer option i to option j
	Dropped []string   `cbor:"-"` // of schulze: options that missed quorum or majority
}

// Outcomes.
const (
	Passed   = "passed"
	Rejected = "rejected"
	Elected  = "elected"
)

// A Round is one step of a count.
type Round struct {
	Text  string // sentences
	Lines []Line // how options stand after it
	Facts []Line // other figures, as quota and exhausted
}

// A Line is a named figure, written as the rules of the method write it.
type Line struct {
	Name  string
	Value string // decimal, or a fraction as "4/3"
	State string // of an option: a State constant, or empty
}

// States of an option in a round.
const (
	StateElected   = "elected"
	StateHopeful   = "hopeful"
	StateExcluded  = "excluded"
	StateWithdrawn = "withdrawn"
)

// A Method counts ballots.
type Method interface {
	// Options are the options a question has under this method, given those
	// that the proposal lists, or an error that says what to list instead.
	Options(given []string) ([]string, error)
	// Check refuses a question that the method can't count, by its seats and
	// params, and says what to set instead.
	Check(q Question) error
	// Form is how a ballot on the question is written.
	Form(q Question) Form
	// Count counts ballots whose marks are of the form. Nothing is a ballot
	// twice in what follows from it: equal marks may come in several ballots.
	Count(q Question, ballots []Ballot) Result
}

// A Form is how a ballot is written in a line.
type Form interface {
	// Parse reads a line as people write it, or says what to write instead.
	Parse(options []string, line string) (Marks, error)
	// Line is the normal form of marks that Valid accepts.
	Line(options []string, m Marks) Choice
	// Valid refuses marks that no line stands for.
	Valid(options []string, m Marks) error
}

// Normal brings a line into normal form, or says what to write instead.
func Normal(f Form, options []string, line string) (Choice, error) {
	m, err := f.Parse(options, line)
	if err != nil {
		return "", err
	}
	return f.Line(options, m), nil
}

// Count counts what a method can count, and refuses the rest.
func Count(m Method, q Question, ballots []Ballot) (Result, error) {
	if n := len(q.Options); n == 0 || n > MaxOptions || q.Withdrawn != nil && len(q.Withdrawn) != n {
		return Result{}, fmt.Errorf("count: %d options, from 1 to %d can be counted", n, MaxOptions)
	}
	if err := permutation(q.Order, len(q.Options)); err != nil {
		return Result{}, err
	}
	if err := m.Check(q); err != nil {
		return Result{}, fmt.Errorf("count: %w", err)
	}
	form, total := m.Form(q), uint64(0)
	for _, b := range ballots {
		if err := form.Valid(q.Options, b.Marks); err != nil {
			return Result{}, fmt.Errorf("count: a ballot: %w", err)
		}
		if total += b.N; b.N > MaxTotal || total > MaxTotal {
			return Result{}, errors.New("count: more ballots than can be counted")
		}
	}
	return m.Count(q, ballots), nil
}

func permutation(order []int, n int) error {
	seen := make([]bool, n)
	for _, i := range order {
		if i < 0 || i >= n || seen[i] {
			return errors.New("count: the order for ties has not each option once")
		}
		seen[i] = true
	}
	if len(order) != n {
		return errors.New("count: the order for ties has not each option once")
	}
	return nil
}

// Say is a round of words.
func Say(format string, args ...any) Round { return Round{Text: fmt.Sprintf(format, args...)} }

// AsListed is the order for ties in which options are listed.
func AsListed(n int) []int {
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	return order
}
