package node

import (
	"cmp"
	"slices"

	"github.com/metastate-p2p/metastate/protocol"
	counting "github.com/metastate-p2p/metastate/protocol/decision/count"
)

// A BallotSheet is what the ballots of an open vote say, without who cast them, so
// that any other program can count them.
type BallotSheet struct {
	Proposal protocol.ID       `json:"proposal"`
	Title    string            `json:"title"`
	Method   string            `json:"method"`
	Seats    uint64            `json:"seats"` // to fill
	Options  []string          `json:"options"`
	Names    map[string]string `json:"names,omitempty"` // what options are called that are ids
	Ballots  []SheetBallot     `json:"ballots"`
	Carried  uint64            `json:"carried,omitempty"` // votes that the count has besides: given to others
}

// A SheetBallot is a ballot that some have cast.
type SheetBallot struct {
	Marks []uint64 `json:"marks"` // of each option: 1, a score, or a rank from 1; 0 without a mark
	N     uint64   `json:"n"`
}

// Sheet is what the ballots of an open vote say that count, as far as they came, in
// an order that tells nothing of when.
func (c *Community) Sheet(ref string) (BallotSheet, error) {
	s := c.Snapshot()
	if s == nil {
		return BallotSheet{}, errNotYet()
	}
	id, err := s.proposal(ref)
	if err != nil {
		return BallotSheet{}, err
	}
	p := s.View.Decisions().Poll(id)
	switch {
	case p.IsSecret():
		return BallotSheet{}, refuse("the vote is secret: nobody has its ballots to write, and only their sum is ever opened",
			"metastate audit "+id.String())
	case !p.HasBallots():
		return BallotSheet{}, refuse("this node does not hold the ballots of that vote any more, or not yet: it was closed before what this node began with",
			"ask a member whose node holds the whole history, or wait until this one has fetched the past")
	}
	form, err := p.Form()
	if err != nil {
		return BallotSheet{}, err
	}
	n := map[counting.Choice]uint64{}
	for _, v := range p.Ballots.All() {
		n[v.Choice]++
	}
	out := BallotSheet{
		Proposal: id, Title: p.Body.Title, Method: p.Body.Method, Seats: max(p.Body.Seats, 1), Options: slices.Clone(p.Options),
		Names: s.candidates(p), Ballots: []SheetBallot{},
	}
	for choice, k := range n {
		marks, err := form.Parse(p.Options, string(choice))
		if err != nil {
			return BallotSheet{}, err
		}
		b := SheetBallot{Marks: make([]uint64, len(marks)), N: k}
		for i, m := range marks {
			b.Marks[i] = uint64(m)
		}
		out.Ballots = append(out.Ballots, b)
	}
	slices.SortFunc(out.Ballots, func(a, b SheetBallot) int {
		return cmp.Or(cmp.Compare(b.N, a.N), slices.Compare(a.Marks, b.Marks))
	})
	if p.Result != nil {
		out.Carried = p.Result.Carried
	}
	return out, nil
}
