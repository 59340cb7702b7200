package decision

import (
	"slices"
	"strings"

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
	Contest    Phase = "contest"
	Passed     Phase = "passed"
	Rejected   Phase = "rejected"
	InForce    Phase = "in-force"
)

// Closed reports whether the vote is over.
func (p Phase) Closed() bool {
	return p == Contest || p == Passed || p == Rejected || p == InForce
}

// A Poll is a proposal and its vote. It is immutable.
type Poll struct {
	Proposal   protocol.ID
	Author     protocol.ID
	Body       ProposeBody // without its text, which stays in the record
	Options    []string
	Phase      Phase
	Next       int64  // checkpoint time at which the phase ends; 0 if it doesn't
	RecordDate uint64 // checkpoint whose roll is the electorate; 0 before the vote opens
	Opened     int64  // checkpoint time of that checkpoint
	Electorate uint64
	Ballots    merkle.Map[*Vote] // by voter
	Covered    merkle.Set        // its records that checkpoints cover, as long as any may be
	Refused    uint64            // ballots covered and not counted
	Result     *Result
	Because    []protocol.Cause

	amends  *charter.Charter // what an amendment makes of the charter
	charter protocol.ID      // its id, in the state for all of it
}

// A Vote is a voter's ballot that counts.
type Vote struct {
	Seq    uint64       `cbor:"q"`
	Ballot protocol.ID  `cbor:"b"`
	Choice count.Choice `cbor:"c"`
}

// AppendLeaf encodes the vote for the state root.
func (v *Vote) AppendLeaf(b []byte) []byte { return append(b, dagcbor.Encode(v)...) }

// A Result is how a vote ended.
type Result struct {
	count.Result
	Counted uint64   `cbor:"counted"`
	Height  uint64   `cbor:"height"`  // of the closing checkpoint
	Ballots [32]byte `cbor:"ballots"` // digest of the counted ballots
}

// ID names the result in the closing checkpoint.
func (r *Result) ID() protocol.ID { return protocol.Sum(dagcbor.Encode(r.leaf())) }

type resultLeaf struct {
	Result  count.Result `cbor:"result"`
	Counted uint64       `cbor:"counted"`
	Height  uint64       `cbor:"height"`
	Ballots []byte       `cbor:"ballots"`
}

func (r *Result) leaf() *resultLeaf {
	if r == nil {
		return nil
	}
	c := r.Result
	c.Rounds = nil // words may be bettered without changing any root
	return &resultLeaf{c, r.Counted, r.Height, r.Ballots[:]}
}

type pollLeaf struct {
	Author     protocol.ID      `cbor:"author"`
	Body       ProposeBody      `cbor:"body"`
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
}

// AppendLeaf encodes the poll for the state root (SPEC §6.3).
func (p *Poll) AppendLeaf(b []byte) []byte {
	l := pollLeaf{
		Author: p.Author, Body: p.Body, Phase: p.Phase, Next: p.Next, RecordDate: p.RecordDate, Opened: p.Opened,
		Electorate: p.Electorate, Refused: p.Refused, Result: p.Result.leaf(), Because: p.Because, Charter: p.charter,
	}
	if p.Ballots.Len() > 0 {
		root := p.Ballots.Root()
		l.Ballots = root[:]
	}
	if p.Phase == Voting && p.Covered.Len() > 0 {
		root := p.Covered.Root()
		l.Covered = root[:]
	}
	return append(b, dagcbor.Encode(l)...)
}

// Tally counts the ballots as they stand: the result once the vote is over,
// before that how it would be if it ended now.
func (p *Poll) Tally(rule count.Rule) (*Result, error) {
	if p.Result != nil {
		return p.Result, nil
	}
	m, err := MethodByName(p.Body.Method)
	if err != nil {
		return nil, err
	}
	n := map[count.Choice]uint64{}
	for _, v := range p.Ballots.All() {
		n[v.Choice]++
	}
	votes := make([]count.Votes, 0, len(n))
	for c, k := range n {
		votes = append(votes, count.Votes{Choice: c, N: k})
	}
	slices.SortFunc(votes, func(a, b count.Votes) int { return strings.Compare(string(a.Choice), string(b.Choice)) })
	q := count.Question{Options: p.Options, Seats: max(p.Body.Seats, 1), Electorate: p.Electorate, Rule: rule}
	return &Result{Result: m.Count(q, votes), Counted: uint64(p.Ballots.Len()), Ballots: p.Ballots.Root()}, nil
}
