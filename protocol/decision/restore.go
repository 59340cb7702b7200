package decision

import (
	"errors"
	"fmt"
	"iter"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/dagcbor"
	"github.com/metastate-p2p/metastate/protocol/merkle"
)

// Trees are the maps of polls and of first votes on entrenched changes. The
// ballots of each poll are a map of their own.
func (s State) Trees() (polls, firsts merkle.Tree) { return s.polls, s.firsts }

// Needs is what a poll's leaf only names.
type Needs struct {
	Ballots [32]byte // root of the ballots that count, zero if there are none
	Covered [32]byte // root of the covered set of an open poll, zero if it is empty
	// Proposal says that the poll's record is needed: it has the charter that
	// an undecided amendment proposes.
	Proposal bool
}

// LeafNeeds says what [Restore] needs of a poll besides its leaf.
func LeafNeeds(leaf []byte) (Needs, error) {
	l, err := readPoll(leaf)
	if err != nil {
		return Needs{}, fmt.Errorf("decision: reading a poll: %w", err)
	}
	n := Needs{Proposal: l.undecided()}
	copy(n.Ballots[:], l.Ballots)
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
	if len(l.Covered) > 0 && l.Phase != Voting {
		return l, errors.New("a covered set of a poll that is not open")
	}
	if l.Result != nil && len(l.Result.Ballots) != 32 {
		return l, errors.New("a result without the root of its ballots")
	}
	return l, nil
}

// undecided reports whether the poll may yet change the charter.
func (l *pollLeaf) undecided() bool {
	return !l.Charter.IsZero() && undecided(l.Phase)
}

// Leaves are the encoded entries of all decisions, each map's by rising key,
// and the records of the proposals that [LeafNeeds] asks for.
type Leaves struct {
	Polls, Firsts iter.Seq2[[32]byte, []byte]
	Ballots       func(poll protocol.ID) iter.Seq2[[32]byte, []byte]
	Covered       func(poll protocol.ID) (merkle.Set, error) // of those that LeafNeeds names one of
	Proposal      func(protocol.ID) *protocol.Record
	Height        uint64 // of the state
}

// Restore makes the decisions of their leaves. Timers, and what the last step
// closed, follow from them. The words of results are not among them. The caller
// compares [State.Root] and [State.FirstsRoot] with digests that it trusts;
// what Restore refuses is what rules could not go on from.
func Restore(l Leaves) (s State, err error) {
	s.firsts, err = merkle.Decode(l.Firsts, func(_ [32]byte, leaf []byte) (v firstVote, err error) {
		return v, dagcbor.Unmarshal(leaf, &v)
	})
	if err != nil {
		return s, fmt.Errorf("decision: restoring first votes: %w", err)
	}
	s.polls, err = merkle.Decode(l.Polls, l.poll)
	if err != nil {
		return s, fmt.Errorf("decision: restoring polls: %w", err)
	}
	for id, p := range s.polls.All() {
		s.timers = s.timers.Move(id, 0, p.Next)
		if p.Result != nil && p.Result.Height == l.Height {
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
		Proposal: id, Author: x.Author, Body: x.Body, Options: options, Phase: x.Phase, Next: x.Next,
		RecordDate: x.RecordDate, Opened: x.Opened, Electorate: x.Electorate, Refused: x.Refused,
		Because: x.Because, charter: x.Charter,
	}
	if r := x.Result; r != nil {
		if len(r.Result.Votes) == 0 {
			return nil, errors.New("a result of no options")
		}
		p.Result = &Result{r.Result, r.Counted, r.Height, [32]byte(r.Ballots)}
	}
	if len(x.Ballots) > 0 {
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
	if x.undecided() {
		return p, p.amendment(l.Proposal(id))
	}
	return p, nil
}

// amendment takes the charter that the poll proposes out of its record.
func (p *Poll) amendment(r *protocol.Record) error {
	if r == nil || r.ID() != p.Proposal {
		return errors.New("its proposal is missing")
	}
	body, err := protocol.Body[ProposeBody](r)
	if err != nil {
		return err
	}
	if body.Act == nil || body.Act.Charter == nil || body.Act.Charter.ID() != p.charter {
		return errors.New("its proposal has another charter")
	}
	p.amends = body.Act.Charter
	return nil
}

// Undecided reports whether the poll may yet change the charter, and its record
// is needed to restore it.
func (p *Poll) Undecided() bool { return !p.charter.IsZero() && undecided(p.Phase) }

func undecided(p Phase) bool { return p != Rejected && p != InForce }
