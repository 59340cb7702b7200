package decision

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/decision/committee"
	"github.com/metastate-p2p/metastate/protocol/decision/count"
	"github.com/metastate-p2p/metastate/protocol/decision/count/lists"
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

	MaxSeats = 10_000

	MaxReason  = 1000 // of a contest, a dissent, a ballot
	MaxComment = 8 << 10

	MaxDissents  = 64 // on one decision
	MaxRevisions = 16 // of one proposal

	MaxClosings = 64 // polls that one checkpoint closes
	MaxPolls    = 32 // of one author that no vote has decided yet
)

// ProposeBody puts a question to a vote.
type ProposeBody struct {
	Title   string       `cbor:"title"`
	Text    string       `cbor:"text,omitempty"`
	Method  string       `cbor:"method"`
	Options []string     `cbor:"options,omitempty"`
	Seats   uint64       `cbor:"seats,omitempty"` // to fill, of methods that elect several
	Params  count.Params `cbor:"params,omitzero"`
	Tie     string       `cbor:"tie,omitempty"` // how ties are settled: "", lot or listed
	Secret  SecretBody   `cbor:"secret,omitzero"`
	Class   string       `cbor:"class"`
	Voting  int64        `cbor:"voting"` // seconds, from the checkpoint that opens the vote
	Act     *Act         `cbor:"act,omitempty"`
	// Rehearsal is a mock vote: it opens at once and has no effect.
	Rehearsal bool `cbor:"rehearsal,omitempty"`
	// Confirms is the decision that this one takes again after objections set it
	// aside.
	Confirms protocol.ID `cbor:"confirms,omitzero"`
}

// SecretBody makes a vote secret.
type SecretBody struct {
	Least uint64 `cbor:"least"` // fewest ballots whose sum is opened, 1 to 2^32
}

// How ties are settled. Without a word a tie leaves open what it decides; methods
// that can't go on so draw the lot.
const (
	TieLot    = "lot"    // by the digest of the ballots
	TieListed = "listed" // the option listed first is preferred
)

// BallotBody is a ballot.
type BallotBody struct {
	Choice  string      `cbor:"choice,omitempty"` // of an open ballot, in the method's normal form
	Ballot  []byte      `cbor:"ballot,omitempty"` // of a secret one (SPEC §8.5)
	Version protocol.ID `cbor:"version,omitzero"` // of a proposal that was revised: the last revision
	For     protocol.ID `cbor:"for,omitzero"`     // whom an officer casts it for
	Reason  string      `cbor:"reason,omitempty"` // at most MaxReason bytes; of an objection there is one
}

// ReviseBody puts another text in a proposal's place while it is discussed.
type ReviseBody struct {
	Proposal protocol.ID `cbor:"proposal"`
	Body     ProposeBody `cbor:"body"`
}

// WithdrawBody takes a proposal back before its vote.
type WithdrawBody struct {
	Proposal protocol.ID `cbor:"proposal"`
}

// SupportBody says that its author would have a proposal voted on.
type SupportBody struct {
	Proposal protocol.ID `cbor:"proposal"`
	Not      bool        `cbor:"not,omitempty"` // takes it back
}

// WordsBody is what a member says on a decision for the record: the reason of a
// contest or the minority report of a dissent.
type WordsBody struct {
	Proposal protocol.ID `cbor:"proposal"`
	Text     string      `cbor:"text"` // 1 to MaxReason bytes
}

// CommentBody is part of a proposal's discussion.
type CommentBody struct {
	Text    string      `cbor:"text"`              // 1 to MaxComment bytes
	To      protocol.ID `cbor:"to,omitzero"`       // the comment it answers
	Suggest string      `cbor:"suggest,omitempty"` // another text for the proposal; at most MaxText bytes
}

// TrusteeBody is what a trustee says while their committee makes its key.
type TrusteeBody struct {
	Committee protocol.ID     `cbor:"committee"`
	Stage     committee.Stage `cbor:"stage"`
	Message   []byte          `cbor:"message,omitempty"`
}

// OpenBody is what a trustee says once a secret vote is closed: which closing is the
// one they open, or their share of its sum. It has one of the two.
type OpenBody struct {
	Proposal protocol.ID `cbor:"proposal"`
	Set      []byte      `cbor:"set,omitempty"` // the sealed set that is acknowledged, 32 bytes
	Share    []byte      `cbor:"share,omitempty"`
}

// DelegateBody gives the author's vote to another member, or takes it back.
type DelegateBody struct {
	Proposal protocol.ID `cbor:"proposal,omitzero"` // for one vote
	Class    string      `cbor:"class,omitempty"`   // for a class of decisions; neither: for all
	To       protocol.ID `cbor:"to,omitzero"`       // to whom; zero: to nobody
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
	options, err := m.Options(b.Options)
	if err != nil {
		return fmt.Errorf("decision: %w", err)
	}
	if _, ok := m.(lists.Method); b.Seats > MaxSeats || b.Seats > uint64(len(b.Options)) && !ok {
		return errors.New("decision: more seats than options")
	}
	if err := m.Check(b.question(options)); err != nil {
		return fmt.Errorf("decision: %w", err)
	}
	if b.Tie != "" && b.Tie != TieLot && b.Tie != TieListed {
		return errors.New("decision: ties are settled by lot or as listed, or stay open")
	}
	if b.Secret != (SecretBody{}) {
		if err := b.checkSecret(options); err != nil {
			return err
		}
	}
	if b.Act != nil {
		return b.Act.validate(b)
	}
	return nil
}

// question is what the proposal asks, without what is known only when it is
// counted.
func (b ProposeBody) question(options []string) count.Question {
	return count.Question{
		Options: options, Seats: max(b.Seats, 1), Params: b.Params, Order: count.AsListed(len(options)), Open: b.Tie == "",
	}
}

// CheckText requires text that says something, of at most limit bytes.
func CheckText(what, s string, limit int) error {
	if strings.TrimSpace(s) == "" || len(s) > limit || !utf8.ValidString(s) {
		return fmt.Errorf("decision: the %s must be 1 to %d bytes of UTF-8", what, limit)
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
