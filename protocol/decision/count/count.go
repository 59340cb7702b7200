// Package count defines what a counting method is. Each method is one small
// package below this one: pure, deterministic, and able to explain its result
// step by step (SPEC §8.3).
//
// A ballot reaches a method as a [Choice]: the one-line form that a voter
// types, brought into the method's normal form by [Method.Normal], so that
// equal choices are equal strings and are counted together.
package count

// A Choice is a ballot's content in a method's normal form.
type Choice string

// A Question is what a poll asks.
type Question struct {
	Options    []string
	Seats      uint64
	Electorate uint64 // who may vote
	Rule       Rule
}

// A Rule is the part of a charter's decision class that a count needs.
type Rule struct {
	Passes func(yes, of uint64) bool // whether yes is enough of the votes or the roll
	OfRoll bool                      // the threshold is of the electorate, not of yes and no
	Quorum func(cast, electorate uint64) bool
	Words  string // the rule as a sentence
}

// Votes are equal choices and how many made them.
type Votes struct {
	Choice Choice
	N      uint64
}

// An Option is a line of a result.
type Option struct {
	Name string `cbor:"o"`
	N    uint64 `cbor:"n"`
}

// A Result is the outcome of a count.
type Result struct {
	Outcome string   `cbor:"outcome"` // passed, rejected or elected
	Winners []string `cbor:"winners,omitempty"`
	Votes   []Option `cbor:"votes"`
	Rounds  []string `cbor:"rounds"` // what was done, step by step, in words
}

// Outcomes.
const (
	Passed   = "passed"
	Rejected = "rejected"
	Elected  = "elected"
)

// A Method counts ballots.
type Method interface {
	// Options are the options a question has under this method, given those
	// that the proposal lists, or an error that says what to list instead.
	Options(given []string) ([]string, error)
	// Normal brings a line into normal form, or says what to write instead.
	Normal(options []string, line string) (Choice, error)
	// Count counts votes, each a normal form, sorted by choice.
	Count(q Question, votes []Votes) Result
}
