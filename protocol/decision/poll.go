package decision

import (
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/charter"
	"github.com/metastate-p2p/metastate/protocol/dagcbor"
	"github.com/metastate-p2p/metastate/protocol/decision/count"
	"github.com/metastate-p2p/metastate/protocol/merkle"
)

// A Phase is where a proposal stands in its life (SPEC §8.1).
type Phase string

// Phases, in order. A proposal that is not yet final is a draft.
const (
	Draft      Phase = "draft"
	Discussion Phase = "discussion"
	Frozen     Phase = "frozen"
	Voting     Phase = "voting"
	Closed     Phase = "closed" // a secret vote that is not opened yet
	Contest    Phase = "contest"
	Passed     Phase = "passed"
	Rejected   Phase = "rejected"
	InForce    Phase = "in-force"
	Withdrawn  Phase = "withdrawn"
)

// Closed reports whether nothing more is covered of it: the vote is over, or there
// is none.
func (p Phase) Closed() bool {
	switch p {
	case Closed, Contest, Passed, Rejected, InForce, Withdrawn:
		return true
	}
	return false
}

// Takes reports whether records of a kind of the bulk plane may belong to a
// proposal in this phase.
func (p Phase) Takes(kind protocol.Kind) bool {
	switch p {
	case Discussion, Frozen:
		return kind == protocol.Comment
	case Voting:
		return kind == protocol.Comment || kind == protocol.Ballot
	}
	return false
}

// A Poll is a proposal and its vote. It is immutable.
type Poll struct {
	Proposal   protocol.ID
	Author     protocol.ID
	Body       ProposeBody // as last revised, without its text, which stays in the record
	Debate     Debate
	Options    []string
	Phase      Phase
	Next       int64  // checkpoint time at which the phase ends; 0 if it doesn't
	RecordDate uint64 // checkpoint whose roll is the electorate; 0 before the vote opens
	Opened     int64  // checkpoint time of that checkpoint
	Electorate uint64
	Ballots    merkle.Map[*Vote] // by voter; see HasBallots
	Covered    merkle.Set        // its records that checkpoints cover, as long as any may be
	Refused    uint64            // ballots covered and not counted
	Result     *Result
	Because    []protocol.Cause

	Secret *Secrecy // of a secret vote

	counted [32]byte         // root of ballots that are not here, zero if all are
	amends  *charter.Charter // what an amendment makes of the charter
	charter protocol.ID      // its id, in the state for all of it
}

// A Debate is what members said on a proposal besides voting.
type Debate struct {
	Began      uint64        `cbor:"began"`                // the checkpoint that covers the proposal; 0 of a draft
	Version    protocol.ID   `cbor:"version,omitzero"`     // the last revision, if there is one
	Revisions  uint64        `cbor:"revisions,omitempty"`  // how many there are
	Support    uint64        `cbor:"support,omitempty"`    // members who would have it voted on, besides its author
	Objections uint64        `cbor:"objections,omitempty"` // of the electorate, in the contest period
	Dissents   []protocol.ID `cbor:"dissents,omitempty"`   // minority reports, in the order covered
}

// A Vote is a voter's ballot that counts.
type Vote struct {
	Seq    uint64       `cbor:"q"`
	Ballot protocol.ID  `cbor:"b"`
	Choice count.Choice `cbor:"c,omitempty"` // of an open ballot
	Sealed []byte       `cbor:"e,omitempty"` // of a secret one: its ciphertexts
	By     protocol.ID  `cbor:"a,omitzero"`  // the officer who cast it for the voter
}

// AppendLeaf encodes the vote for the state root.
func (v *Vote) AppendLeaf(b []byte) []byte { return append(b, dagcbor.Encode(v)...) }

// A Result is how a vote ended.
type Result struct {
	count.Result
	Counted  uint64   `cbor:"counted"`  // ballots
	Assisted uint64   `cbor:"assisted"` // of these, cast by officers for members
	Carried  uint64   `cbor:"carried"`  // votes that members gave to others who voted
	Height   uint64   `cbor:"height"`   // of the closing checkpoint
	Ballots  [32]byte `cbor:"ballots"`  // digest of the counted ballots

	given map[protocol.ID]uint64 // what Given says
}

// Given are the votes that each voter carried for others, as far as this result was
// counted here: one that was restored has none.
func (r *Result) Given() map[protocol.ID]uint64 { return r.given }

// ID names the result in the closing checkpoint.
func (r *Result) ID() protocol.ID { return protocol.Sum(dagcbor.Encode(r.leaf())) }

type resultLeaf struct {
	Result   count.Result `cbor:"result"`
	Counted  uint64       `cbor:"counted"`
	Assisted uint64       `cbor:"assisted,omitempty"`
	Carried  uint64       `cbor:"carried,omitempty"`
	Height   uint64       `cbor:"height"`
	Ballots  []byte       `cbor:"ballots"`
}

func (r *Result) leaf() *resultLeaf {
	if r == nil {
		return nil
	}
	return &resultLeaf{r.Result, r.Counted, r.Assisted, r.Carried, r.Height, r.Ballots[:]}
}

type pollLeaf struct {
	Author     protocol.ID      `cbor:"author"`
	Body       ProposeBody      `cbor:"body"`
	Debate     Debate           `cbor:"debate"`
	Phase      Phase            `cbor:"phase"`
	Next       int64            `cbor:"next,omitempty"`
	RecordDate uint64           `cbor:"recordDate,omitempty"`
	Opened     int64            `cbor:"opened,omitempty"`
	Electorate uint64           `cbor:"electorate,omitempty"`
	Ballots    []byte           `cbor:"ballots,omitempty"`
	Covered    []byte           `cbor:"covered,omitempty"`
	Refused    uint64           `cbor:"refused,omitempty"`
	Result     *resultLeaf      `cbor:"result,omitempty"`
	Because    []protocol.Cause `cbor:"because,omitempty"`
	Charter    protocol.ID      `cbor:"charter,omitzero"`
	Secret     *Secrecy         `cbor:"secret,omitempty"`
}

// AppendLeaf encodes the poll for the state root (SPEC §6.3).
func (p *Poll) AppendLeaf(b []byte) []byte {
	l := pollLeaf{
		Author: p.Author, Body: p.Body, Debate: p.Debate, Phase: p.Phase, Next: p.Next, RecordDate: p.RecordDate, Opened: p.Opened,
		Electorate: p.Electorate, Refused: p.Refused, Result: p.Result.leaf(), Because: p.Because, Charter: p.charter, Secret: p.Secret,
	}
	if root := p.ballotsRoot(); root != [32]byte{} {
		l.Ballots = root[:]
	}
	if !p.Phase.Closed() && p.Covered.Len() > 0 {
		root := p.Covered.Root()
		l.Covered = root[:]
	}
	return append(b, dagcbor.Encode(l)...)
}

// HasBallots reports whether Ballots are those of the poll. Of a poll that was
// closed when a snapshot was taken only their root is restored.
func (p *Poll) HasBallots() bool { return p.counted == [32]byte{} }

func (p *Poll) ballotsRoot() [32]byte {
	if p.HasBallots() {
		return p.Ballots.Root()
	}
	return p.counted
}

// SetAside reports whether objections set the decision aside.
func (p *Poll) SetAside() bool {
	return len(p.Because) > 0 && p.Because[len(p.Because)-1].Rule == RuleSetAside
}

// Form is how a ballot in the poll is written.
func (p *Poll) Form() (count.Form, error) {
	m, err := MethodByName(p.Body.Method)
	if err != nil {
		return nil, err
	}
	return m.Form(p.Body.question(p.Options)), nil
}
