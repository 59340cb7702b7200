package decision

import (
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/protocol/decision/count"
	"github.com/metastate-p2p/metastate/protocol/decision/count/plurality"
	"github.com/metastate-p2p/metastate/protocol/decision/count/yesno"
)

// Bounds on bodies. Bytes, but for the number of options and the durations in
// seconds.
const (
	MaxTitle   = 200
	MaxText    = 12 << 10
	MaxOptions = 64
	MaxOption  = 120
	MaxChoice  = 4 << 10
	MinVoting  = 1
	MaxVoting  = 400 * 24 * 60 * 60

	MaxClosings = 64 // polls that one checkpoint closes
	MaxPolls    = 32 // of one author that no vote has decided yet
)

// ProposeBody puts a question to a vote.
type ProposeBody struct {
	Title   string   `cbor:"title"`
	Text    string   `cbor:"text,omitempty"`
	Method  string   `cbor:"method"`
	Options []string `cbor:"options,omitempty"`
	Seats   uint64   `cbor:"seats,omitempty"` // to fill, of methods that elect several
	Class   string   `cbor:"class"`
	Voting  int64    `cbor:"voting"` // seconds, from the checkpoint that opens the vote
	Act     *Act     `cbor:"act,omitempty"`
}

// BallotBody is an open ballot.
type BallotBody struct {
	Choice string `cbor:"choice"` // in the method's normal form
}

// MethodByName finds a counting method of this version.
func MethodByName(name string) (count.Method, error) {
	switch name {
	case "yes-no":
		return yesno.Method{}, nil
	case "plurality":
		return plurality.Method{}, nil
	}
	return nil, fmt.Errorf("decision: no counting method %q in this version: use yes-no or plurality", name)
}

// Validate refuses what can't be voted on, and says what to write instead.
func (b ProposeBody) Validate() error {
	if err := CheckLine("title", b.Title, MaxTitle); err != nil {
		return err
	}
	if len(b.Text) > MaxText || !utf8.ValidString(b.Text) {
		return fmt.Errorf("decision: the text is over %d bytes or not valid UTF-8", MaxText)
	}
	if b.Voting < MinVoting || b.Voting > MaxVoting {
		return errors.New("decision: a vote lasts from one second to 400 days")
	}
	if len(b.Options) > MaxOptions {
		return fmt.Errorf("decision: %d options, the cap is %d", len(b.Options), MaxOptions)
	}
	for _, o := range b.Options {
		if err := CheckLine("option", o, MaxOption); err != nil {
			return err
		}
	}
	m, err := MethodByName(b.Method)
	if err != nil {
		return err
	}
	if _, err := m.Options(b.Options); err != nil {
		return fmt.Errorf("decision: %w", err)
	}
	if b.Seats > uint64(len(b.Options)) {
		return errors.New("decision: more seats than options")
	}
	if b.Act != nil {
		return b.Act.validate(b)
	}
	return nil
}

// CheckLine requires one visible line of text of at most limit bytes.
func CheckLine(what, s string, limit int) error {
	if s == "" || len(s) > limit || !utf8.ValidString(s) {
		return fmt.Errorf("decision: the %s must be 1 to %d bytes of text", what, limit)
	}
	for _, r := range s {
		if identity.Hidden(r) {
			return fmt.Errorf("decision: the %s must be one line of printable text", what)
		}
	}
	return nil
}
