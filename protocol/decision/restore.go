package decision

import (
	"errors"
	"fmt"
	"iter"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/dagcbor"
	"github.com/metastate-p2p/metastate/protocol/decision/committee"
	"github.com/metastate-p2p/metastate/protocol/merkle"
)

// Trees are the maps of polls, of first votes on entrenched changes, of what
// members said that lasts, and of committees of trustees. The ballots of each poll
// are a map of their own.
func (s State) Trees() (polls, firsts, said, committees merkle.Tree) {
	return s.polls, s.firsts, s.said, s.committees
}

// Needs is what a poll's leaf only names.
type Needs struct {
	Ballots [32]byte // root of the ballots that count in an open poll, zero if there are none
	Covered [32]byte // root of the covered set of an open poll, zero if it is empty
	// Version is the record that is needed, zero if none is: it has the charter
	// that an undecided amendment proposes.
	Version protocol.ID
}

// LeafNeeds says what [Restore] needs of a poll besides its leaf.
func LeafNeeds(poll protocol.ID, leaf []byte) (Needs, error) {
	l, err := readPoll(leaf)
	if err != nil {
		return Needs{}, fmt.Errorf("decision: reading a poll: %w", err)
	}
	var n Needs
	if l.undecided() {
		n.Version = versionOf(poll, l.Debate)
	}
	if l.counting() {
		copy(n.Ballots[:], l.Ballots)
	}
	copy(n.Covered[:], l.Covered)
	return n, nil
}

func readPoll(leaf []byte) (l pollLeaf, err error) {
	if err := dagcbor.Unmarshal(leaf, &l); err != nil {
		return l, err
	}
	for _, root := range [][]byte{l.Ballots, l.Covered} {
		if n := len(root); n != 0 && n != 32 {
			return l, errors.New("no root of ballots")
		}
	}
	if len(l.Covered) > 0 && l.Phase.Closed() {
		return l, errors.New("a covered set of a poll that is not open")
	}
	if l.Result != nil && len(l.Result.Ballots) != 32 {
		return l, errors.New("a result without the root of its ballots")
	}
	return l, nil
}

// counting reports whether what follows depends on each ballot.
func (l *pollLeaf) counting() bool { return l.Phase == Voting || l.Phase == Closed }

// undecided reports whether the poll may yet change the charter.
func (l *pollLeaf) undecided() bool {
	return !l.Charter.IsZero() && undecided(l.Phase)
}

// versionOf is the record whose text is voted on.
func versionOf(proposal protocol.ID, d Debate) protocol.ID {
	if d.Version.IsZero() {
		return proposal
	}
	return d.Version
}

// Leaves are the encoded entries of all decisions, each map's by rising key,
// and the records of the proposals that [LeafNeeds] asks for.
type Leaves struct {
	Polls, Firsts, Said, Committees iter.Seq2[[32]byte, []byte]
	// Of polls of which LeafNeeds names them.
	Ballots func(poll protocol.ID) iter.Seq2[[32]byte, []byte]
	Covered func(poll protocol.ID) (merkle.Set, error)
	Version func(protocol.ID) *protocol.Record
	Height  uint64 // of the state

	committee func(protocol.ID) *committee.Committee
}

// Restore makes the decisions of their leaves. Timers, and what the last step
// closed, follow from them. The words of results are not among them, nor the
// ballots of closed polls. The caller compares [State.Root], [State.FirstsRoot],
// [State.SaidRoot] and [State.CommitteesRoot] with digests that it trusts; what
// Restore refuses is what rules could not go on from.
func Restore(l Leaves) (s State, err error) {
	s.firsts, err = merkle.Decode(l.Firsts, func(_ [32]byte, leaf []byte) (v firstVote, err error) {
		return v, dagcbor.Unmarshal(leaf, &v)
	})
	if err != nil {
		return s, fmt.Errorf("decision: restoring first votes: %w", err)
	}
	s.said, err = merkle.Decode(l.Said, func(_ [32]byte, leaf []byte) (x stance, err error) {
		return x, dagcbor.Unmarshal(leaf, &x)
	})
	if err != nil {
		return s, fmt.Errorf("decision: restoring what members said: %w", err)
	}
	s.committees, err = merkle.Decode(l.Committees, func(id [32]byte, leaf []byte) (*committee.Committee, error) {
		return committee.Restore(id, leaf)
	})
	if err != nil {
		return s, fmt.Errorf("decision: restoring committees: %w", err)
	}
	for id, c := range s.committees.All() {
		s.timers = s.timers.Move(id, 0, c.Until)
	}
	l.committee = s.Committee
	s.polls, err = merkle.Decode(l.Polls, l.poll)
	if err != nil {
		return s, fmt.Errorf("decision: restoring polls: %w", err)
	}
	for id, p := range s.polls.All() {
		s.timers = s.timers.Move(id, 0, p.Next)
		if p.Result != nil && p.Result.Height == l.Height || p.Secret != nil && p.Secret.Height != 0 && p.Secret.Height == l.Height {
			s.closed = append(s.closed, id)
		}
	}
	return s, nil
}

func (l *Leaves) poll(id [32]byte, leaf []byte) (*Poll, error) {
	x, err := readPoll(leaf)
	if err != nil {
		return nil, err
	}
	method, err := MethodByName(x.Body.Method)
	if err != nil {
		return nil, err
	}
	options, err := method.Options(x.Body.Options)
	if err != nil {
		return nil, err
	}
	p := &Poll{
		Proposal: id, Author: x.Author, Body: x.Body, Debate: x.Debate, Options: options, Phase: x.Phase, Next: x.Next,
		RecordDate: x.RecordDate, Opened: x.Opened, Electorate: x.Electorate, Refused: x.Refused,
		Because: x.Because, charter: x.Charter, Secret: x.Secret,
	}
	if r := x.Result; r != nil {
		if len(r.Result.Votes) == 0 {
			return nil, errors.New("a result of no options")
		}
		p.Result = &Result{
			Result: r.Result, Counted: r.Counted, Assisted: r.Assisted, Carried: r.Carried, Height: r.Height, Ballots: [32]byte(r.Ballots),
		}
	}
	switch {
	case len(x.Ballots) == 0:
	case !x.counting():
		copy(p.counted[:], x.Ballots)
	default:
		p.Ballots, err = merkle.Decode(l.Ballots(id), func(_ [32]byte, leaf []byte) (*Vote, error) {
			v := new(Vote)
			return v, dagcbor.Unmarshal(leaf, v)
		})
		if err != nil {
			return nil, fmt.Errorf("ballots: %w", err)
		}
	}
	if len(x.Covered) > 0 {
		if p.Covered, err = l.Covered(id); err != nil {
			return nil, fmt.Errorf("covered set: %w", err)
		}
	}
	if (p.Phase == Voting || p.Phase == Closed || p.Phase == Discussion || p.Phase == Frozen) && p.IsSecret() != (p.Secret != nil) {
		return nil, errors.New("a vote that is half secret")
	}
	if p.Phase == Closed && p.Secret == nil || p.Secret != nil && l.committee(p.Secret.Committee) == nil {
		return nil, errors.New("a secret vote without trustees")
	}
	if p.Secret != nil && x.counting() {
		if err := p.resume(l.committee(p.Secret.Committee)); err != nil {
			return nil, err
		}
	}
	if x.undecided() {
		return p, p.amendment(l.Version(p.Version()))
	}
	return p, nil
}

// resume makes what a secret vote goes on with: its election and the sum.
func (p *Poll) resume(c *committee.Committee) error {
	if c == nil || c.Keys() == nil || len(p.Secret.Roll) != 32 {
		return errors.New("a secret vote without a key")
	}
	s := *p.Secret
	if err := s.elect(p, c); err != nil {
		return err
	}
	next := &s
	for _, v := range p.Ballots.All() {
		var err error
		if next, err = next.replace(nil, v.Sealed); err != nil {
			return err
		}
	}
	p.Secret = next
	return nil
}

// amendment takes the charter that the poll proposes out of its record.
func (p *Poll) amendment(r *protocol.Record) error {
	if r == nil || r.ID() != p.Version() {
		return errors.New("its proposal is missing")
	}
	body, err := Proposed(r)
	if err != nil {
		return err
	}
	if body.Act == nil || body.Act.Charter == nil || body.Act.Charter.ID() != p.charter {
		return errors.New("its proposal has another charter")
	}
	p.amends = body.Act.Charter
	return nil
}

// Proposed is the body of a proposal, or of its revision.
func Proposed(r *protocol.Record) (ProposeBody, error) {
	if r.Kind() == protocol.Revise {
		body, err := protocol.Body[ReviseBody](r)
		return body.Body, err
	}
	return protocol.Body[ProposeBody](r)
}

// Version is the record whose text is voted on: the proposal or its last revision.
func (p *Poll) Version() protocol.ID { return versionOf(p.Proposal, p.Debate) }

// Undecided reports whether the poll may yet change the charter, and the record of
// its version is needed to restore it.
func (p *Poll) Undecided() bool { return !p.charter.IsZero() && undecided(p.Phase) }

func undecided(p Phase) bool { return p != Rejected && p != InForce && p != Withdrawn }
