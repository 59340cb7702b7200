package decision

import (
	"iter"
	"maps"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/dagcbor"
	"github.com/metastate-p2p/metastate/protocol/decision/committee"
	"github.com/metastate-p2p/metastate/protocol/merkle"
	"github.com/metastate-p2p/metastate/protocol/roll"
)

// State is every proposal with its votes. It is immutable; the zero State has
// none.
type State struct {
	polls  merkle.Map[*Poll]
	firsts merkle.Map[firstVote] // of entrenched changes, by the new charter's id
	said   merkle.Map[stance]    // what members said that lasts

	committees merkle.Map[*committee.Committee] // of trustees
	timers     roll.Timers                      // when phases end, by proposal
	closed     []protocol.ID                    // polls that the last step closed, rising

	final map[protocol.ID]merkle.Set // their covered sets; nothing is covered there any more
}

// A firstVote is a change of an entrenched article that waits for the second.
type firstVote struct {
	Base protocol.ID `cbor:"base"`
	At   int64       `cbor:"t"`
}

// AppendLeaf encodes the first vote for the state root.
func (v firstVote) AppendLeaf(b []byte) []byte { return append(b, dagcbor.Encode(v)...) }

// Poll is the poll that a proposal opened, nil if there is none.
func (s State) Poll(proposal protocol.ID) *Poll {
	p, _ := s.polls.Get(proposal)
	return p
}

// Polls are all polls in order of proposal id.
func (s State) Polls() iter.Seq[*Poll] {
	return func(yield func(*Poll) bool) {
		for _, p := range s.polls.All() {
			if !yield(p) {
				return
			}
		}
	}
}

// NextDeadline is when the next phase of any poll ends, if one will.
func (s State) NextDeadline() (int64, bool) {
	at, _, ok := s.timers.Next()
	return at, ok
}

// Covered is the set of covered records of a proposal that takes any, or did until
// the last step.
func (s State) Covered(poll protocol.ID) merkle.Set {
	if set, ok := s.final[poll]; ok {
		return set
	}
	if p := s.Poll(poll); p != nil {
		return p.Covered
	}
	return merkle.Set{}
}

// JustClosed are the polls that the last step counted, rising.
func (s State) JustClosed() []protocol.ID { return s.closed }

// JustEnded are the polls of which nothing more is covered after the last step.
func (s State) JustEnded() iter.Seq[protocol.ID] { return maps.Keys(s.final) }

// Root is the digest of all polls, for the state root.
func (s State) Root() [32]byte { return s.polls.Root() }

// CommitteesRoot is the digest of all committees of trustees.
func (s State) CommitteesRoot() [32]byte { return s.committees.Root() }

// SaidRoot is the digest of what members said that lasts.
func (s State) SaidRoot() [32]byte { return s.said.Root() }

// FirstsRoot is the digest of entrenched changes that wait for a second vote.
func (s State) FirstsRoot() [32]byte { return s.firsts.Root() }

func (s State) put(p *Poll) State {
	var was int64
	if old := s.Poll(p.Proposal); old != nil {
		was = old.Next
	}
	s.timers = s.timers.Move(p.Proposal, was, p.Next)
	s.polls = s.polls.Put(p.Proposal, p)
	return s
}
