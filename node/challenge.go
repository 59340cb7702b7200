package node

import (
	"context"
	"errors"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/decision"
	"github.com/metastate-p2p/metastate/protocol/decision/secret"
)

// A BallotOpening shows what a secret ballot says that was prepared and is never
// cast. Any member's node checks it: what makes ballots can't know which of them
// will be opened.
type BallotOpening struct {
	Metastate protocol.ID `json:"metastate"`
	Proposal  protocol.ID `json:"proposal"`
	Voter     protocol.ID `json:"voter"`
	Seq       uint64      `json:"seq"`
	Code      string      `json:"code"` // as it was shown when the ballot was prepared
	Ballot    []byte      `json:"ballot"`
	Opening   []byte      `json:"opening"`
}

// An OpenedBallot is what a ballot says whose opening holds.
type OpenedBallot struct {
	Valid    bool        `json:"valid"`
	Proposal protocol.ID `json:"proposal"`
	Title    string      `json:"title"`
	Voter    protocol.ID `json:"voter"`
	Name     string      `json:"name,omitempty"`
	Code     string      `json:"code"`
	Choice   string      `json:"choice"`
	// Cast says that this very ballot counts in the vote: then its opening shows how
	// somebody voted, which a challenge never does.
	Cast bool `json:"cast"`
}

// ChallengeVote gives the opening of the ballot that is prepared in a vote, and
// forgets that ballot first: it can't be cast any more.
func (c *Community) ChallengeVote(_ context.Context, ref string) (BallotOpening, error) {
	s := c.Snapshot()
	if s == nil {
		return BallotOpening{}, errNotYet()
	}
	id, err := s.proposal(ref)
	if err != nil {
		return BallotOpening{}, err
	}
	l := c.book()
	x, err := l.prepared(c.Persona(), id)
	if err != nil {
		return BallotOpening{}, err
	}
	if err := l.store.DeletePrivate(ballotKey(id)); err != nil {
		return BallotOpening{}, storeError(err)
	}
	c.changed()
	return BallotOpening{
		Metastate: c.id, Proposal: id, Voter: c.Persona(), Seq: x.Seq, Code: BallotCode(x.Ballot), Ballot: x.Ballot, Opening: x.Opening,
	}, nil
}

// CheckOpening tells what a ballot says by its opening. It needs of this node only
// that it holds the vote: an opening that brought its own key would show nothing.
func (c *Community) CheckOpening(_ context.Context, o BallotOpening) (OpenedBallot, error) {
	s := c.Snapshot()
	if s == nil {
		return OpenedBallot{}, errNotYet()
	}
	if o.Metastate != c.id {
		return OpenedBallot{}, notOpening(errors.New("it is of another metastate"))
	}
	p := s.Final.Decisions().Poll(o.Proposal)
	if p == nil || p.Secret == nil || p.Secret.Election() == nil {
		return OpenedBallot{}, &Error{
			Code: "not-found", Exit: ExitNotFound, Message: "this node holds no open secret vote of that id", Hint: "metastate sync now, then try again",
		}
	}
	choice, err := openBallot(p, o)
	if err != nil {
		return OpenedBallot{}, notOpening(err)
	}
	out := OpenedBallot{
		Valid: true, Proposal: o.Proposal, Title: p.Body.Title, Voter: o.Voter, Code: o.Code, Choice: choice,
		Cast: isCast(s.View.Decisions().Poll(o.Proposal), o.Voter, o.Ballot),
	}
	if m := s.View.Roll().Member(o.Voter); m != nil {
		out.Name = m.Name
	}
	return out, nil
}

func openBallot(p *decision.Poll, o BallotOpening) (string, error) {
	if len(o.Opening) != len(secret.Opening{}) {
		return "", errors.New("it has no opening of 32 bytes")
	}
	if BallotCode(o.Ballot) != o.Code {
		return "", errors.New("the ballot is not the one of its code")
	}
	opening := secret.Opening(o.Opening)
	defer opening.Erase()
	voter := secret.Voter{ID: o.Voter, Seq: o.Seq}
	if _, err := p.Secret.Election().Verify(voter, o.Ballot); err != nil {
		return "", err
	}
	marks, err := p.Secret.Election().Open(voter, o.Ballot, opening)
	if err != nil {
		return "", err
	}
	form, err := p.Form()
	if err != nil {
		return "", err
	}
	return string(form.Line(p.Options, marks)), nil
}

// notOpening says that an opening shows nothing.
func notOpening(why error) error {
	return &Error{
		Code: "not-valid", Exit: ExitVerify, Err: why, Message: "this is not the opening of that ballot: " + plain(why),
		Hint: "get the file again from who challenged the ballot; if it stays so, the device that prepared the ballot is not to be trusted with a vote",
	}
}
