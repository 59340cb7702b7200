package node

import (
	"time"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/decision/count"
)

// ProposeRequest puts a question to the vote.
type ProposeRequest struct {
	Title    string        `json:"title"`
	Text     string        `json:"text,omitempty"`
	Method   string        `json:"method,omitempty"` // default yes-no
	Options  []string      `json:"options,omitempty"`
	Seats    uint64        `json:"seats,omitempty"`
	Class    string        `json:"class,omitempty"` // default ordinary, or what the act takes
	ClosesIn time.Duration `json:"closesIn"`
	Act      *ActRequest   `json:"act,omitempty"`
	Params   count.Params  `json:"params,omitzero"` // of the method
	// Tie is how ties are settled: lot or listed; without it what they decide stays
	// open.
	Tie       string `json:"tie,omitempty"`
	Secret    bool   `json:"secret,omitempty"`
	Trustees  uint64 `json:"trustees,omitempty"`  // of a secret vote, that must be in office; 0: as many as there are
	Least     uint64 `json:"least,omitempty"`     // of a secret vote, ballots that must be cast for it to be opened; 0: 3
	Rehearsal bool   `json:"rehearsal,omitempty"` // a mock vote without effect
	Confirms  string `json:"confirms,omitempty"`  // a decision that was set aside, which is taken again
}

// ProposalRef names a proposal that was opened.
type ProposalRef struct {
	Proposal protocol.ID `json:"proposal"`
	Sent     int         `json:"sent"`
}

// ProposalList is every proposal, those still to be decided first.
type ProposalList struct {
	Proposals []Proposal `json:"proposals"`
}

// Proposal is a proposal and where it stands.
type Proposal struct {
	Proposal   protocol.ID `json:"proposal"`
	Title      string      `json:"title"`
	Text       string      `json:"text,omitempty"`
	Author     protocol.ID `json:"author"`
	AuthorName string      `json:"authorName,omitempty"` // what its author is called
	Method     string      `json:"method"`
	Class      string      `json:"class"`
	Seats      uint64      `json:"seats,omitempty"`
	Act        string      `json:"act,omitempty"` // what it does when in force

	Params count.Params `json:"params,omitzero"` // of the method

	Secret      bool         `json:"secret"`
	Secrecy     *SecrecyView `json:"secrecy,omitempty"` // of a secret vote
	Phase       string       `json:"phase"`
	Until       *time.Time   `json:"until"` // the phase ends, at the first checkpoint from then on; nil if nothing is due
	Final       bool         `json:"final"` // the opening is final
	Options     []string     `json:"options"`
	Opens       *time.Time   `json:"opens"`
	Closes      *time.Time   `json:"closes"`
	Electorate  uint64       `json:"electorate"`
	MayVote     bool         `json:"mayVote"`
	Voted       string       `json:"voted,omitempty"`  // own choice as held
	VotedBy     protocol.ID  `json:"votedBy,omitzero"` // the officer who cast it
	VotedByName string       `json:"votedByName,omitempty"`
	Tie         string       `json:"tie,omitempty"`
	Rehearsal   bool         `json:"rehearsal,omitempty"` // a mock vote without effect
	Confirms    protocol.ID  `json:"confirms,omitzero"`   // the decision it takes again

	Version    protocol.ID       `json:"version"` // the record whose text is voted on
	Support    *SupportView      `json:"support,omitempty"`
	Objections uint64            `json:"objections,omitempty"`
	Dissents   []Dissent         `json:"dissents,omitempty"` // minority reports
	Names      map[string]string `json:"names,omitempty"`    // of an election: option to what the candidate is called
}

// SupportView is how much support a proposal has and needs to come to the vote.
type SupportView struct {
	Have     uint64 `json:"have"`     // members besides its author
	Sponsors uint64 `json:"sponsors"` // of those it needs
	Share    string `json:"share"`    // of the roll, its author included
}

// Dissent is a minority report.
type Dissent struct {
	Record protocol.ID `json:"record"`
	Author protocol.ID `json:"author,omitzero"`
	Name   string      `json:"name,omitempty"`
	Text   string      `json:"text,omitempty"` // empty where the record is not held
}

// Tally is the count of a poll.
type Tally struct {
	Proposal   protocol.ID       `json:"proposal"`
	Title      string            `json:"title"`
	Phase      string            `json:"phase"`
	Final      bool              `json:"final"` // closed by a checkpoint
	Electorate uint64            `json:"electorate"`
	Counted    uint64            `json:"counted"`
	Assisted   uint64            `json:"assisted,omitempty"` // of these, cast by officers for members
	Carried    uint64            `json:"carried,omitempty"`  // votes given to those who voted
	Refused    uint64            `json:"refused"`
	Outcome    string            `json:"outcome"` // empty until final
	Winners    []string          `json:"winners"`
	Options    []string          `json:"options"`           // in the order of the matrix
	Votes      map[string]uint64 `json:"votes,omitempty"`   // none of a secret vote that is not opened
	Seats      map[string]uint64 `json:"seats,omitempty"`   // of each list
	Matrix     [][]uint64        `json:"matrix,omitempty"`  // how many prefer one option, by the row, to another
	Dropped    []string          `json:"dropped,omitempty"` // options that missed a quorum or majority
	Rounds     []Round           `json:"rounds"`
	Checkpoint *CheckpointRef    `json:"checkpoint"`        // the closing one
	Secrecy    *SecrecyView      `json:"secrecy,omitempty"` // of a secret vote

	Names map[string]string `json:"names,omitempty"` // of an election: option to what the candidate is called
}
