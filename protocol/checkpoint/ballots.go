package checkpoint

import (
	"slices"

	"github.com/metastate-p2p/metastate/protocol"
)

const (
	// keptRounds is how many past rounds a machine keeps messages of, besides
	// those that a rule needs.
	keptRounds = 8

	// roundsAhead is how many rounds ahead of its own a machine keeps messages
	// of, for each clerk: the highest ones.
	roundsAhead = 2
)

// ballots holds the messages of one round: by kind and clerk the first that
// came, and one that conflicts with it. Two are needed, because a dishonest
// clerk may tell us one thing and make a quorum elsewhere with another. That
// is also the bound: 6 messages for each clerk.
type ballots struct {
	round uint32
	slots [3][][2]*Message
}

func newBallots(round uint32, clerks int) ballots {
	b := ballots{round: round}
	for k := range b.slots {
		b.slots[k] = make([][2]*Message, clerks)
	}
	return b
}

func (b *ballots) first(k Kind, clerk int) *Message {
	if b == nil {
		return nil
	}
	return b.slots[k-1][clerk][0]
}

// votes returns, by rising clerk, the votes of a kind for id.
func (b *ballots) votes(k Kind, id protocol.ID) (out []*Message) {
	if b == nil {
		return nil
	}
	for _, pair := range b.slots[k-1] {
		for _, msg := range pair {
			if msg != nil && msg.header.Value == id {
				out = append(out, msg)
				break
			}
		}
	}
	return out
}

// any returns each clerk's first vote of a kind.
func (b *ballots) any(k Kind) (out []*Message) {
	if b == nil {
		return nil
	}
	for _, pair := range b.slots[k-1] {
		if pair[0] != nil {
			out = append(out, pair[0])
		}
	}
	return out
}

// quorum returns the value that at least q votes of a kind are for, if any but
// nil.
func (b *ballots) quorum(k Kind, q int) (protocol.ID, bool) {
	for _, pair := range b.slots[k-1] {
		for _, msg := range pair {
			if msg != nil && !msg.header.Value.IsZero() && len(b.votes(k, msg.header.Value)) >= q {
				return msg.header.Value, true
			}
		}
	}
	return protocol.ID{}, false
}

// spoke reports whether clerk said anything in the round.
func (b *ballots) spoke(clerk int) bool {
	for _, kind := range b.slots {
		if kind[clerk][0] != nil {
			return true
		}
	}
	return false
}

// find returns the ballots of a round, or nil.
func (m *Machine) find(round uint32) *ballots {
	for i := range m.rounds {
		if m.rounds[i].round == round {
			return &m.rounds[i]
		}
	}
	return nil
}

// ballotsAt returns the ballots of a round, made if there are none. The pointer
// holds until the next call.
func (m *Machine) ballotsAt(round uint32) *ballots {
	if b := m.find(round); b != nil {
		return b
	}
	i, _ := slices.BinarySearchFunc(m.rounds, round, func(b ballots, r uint32) int { return int(b.round) - int(r) })
	m.rounds = slices.Insert(m.rounds, i, newBallots(round, len(m.cfg.Clerks)))
	return &m.rounds[i]
}

// receive files a message.
func (m *Machine) receive(msg *Message) Verdict {
	if msg == nil || msg.metastate != m.cfg.Metastate || msg.header.Era != m.cfg.Era {
		return Foreign
	}
	h := msg.header
	switch {
	case h.Height < m.cfg.Height:
		return HeightBehind
	case h.Height > m.cfg.Height:
		return HeightAhead
	case h.Clerk >= len(m.cfg.Clerks) || m.cfg.Clerks[h.Clerk].Key != msg.key:
		return Foreign
	case h.Round < m.at.round && !m.needs(h.Round):
		return RoundBehind
	case h.Round > m.at.round && !m.makeRoom(h):
		return RoundAhead
	}
	return m.file(msg)
}

// file puts a message in its slot. One that conflicts is shown once as
// evidence, and kept if a rule may yet need it.
func (m *Machine) file(msg *Message) Verdict {
	h := msg.header
	pair := &m.ballotsAt(h.Round).slots[h.Kind-1][h.Clerk]
	switch {
	case pair[0] == nil:
		pair[0] = msg
		return Accepted
	case pair[0].claims(msg) || (pair[1] != nil && pair[1].claims(msg)):
		return Duplicate
	}
	if pair[1] == nil {
		m.emit(Accuse{newEvidence(pair[0], msg)})
		pair[1] = msg
	} else if m.wanted(h) {
		pair[1] = msg
	}
	return Conflicting
}

// claims reports whether two messages of one slot say the same. Their
// signatures may differ: a clerk can make many of one message.
func (m *Message) claims(o *Message) bool {
	return m.header.Value == o.header.Value && m.header.ValidRound == o.header.ValidRound
}

// wanted reports whether a vote is for a value that a quorum of its round could
// bring about anything for: proposed in that round, or proposed now with that
// round as its proof.
func (m *Machine) wanted(h Header) bool {
	for _, pair := range m.find(h.Round).slots[KindProposal-1] {
		for _, p := range pair {
			if p != nil && p.header.Value == h.Value {
				return true
			}
		}
	}
	p := m.proposal()
	return p != nil && p.header.Value == h.Value && p.header.ValidRound == int64(h.Round)
}

// needs reports whether messages of a past round are kept.
func (m *Machine) needs(round uint32) bool {
	if m.at.round-round <= keptRounds || int64(round) == m.valid.round {
		return true
	}
	p := m.proposal()
	return p != nil && p.header.ValidRound == int64(round)
}

// makeRoom bounds what one clerk can make us keep of rounds ahead: messages of
// roundsAhead rounds. A higher round pushes out the lowest: what counts is how
// far the clerk has come.
func (m *Machine) makeRoom(h Header) bool {
	var ahead []*ballots
	for i := range m.rounds {
		b := &m.rounds[i]
		if b.round == h.Round && b.spoke(h.Clerk) {
			return true
		}
		if b.round > m.at.round && b.spoke(h.Clerk) {
			ahead = append(ahead, b)
		}
	}
	if len(ahead) < roundsAhead {
		return true
	}
	if h.Round < ahead[0].round {
		return false
	}
	for k := range ahead[0].slots {
		ahead[0].slots[k][h.Clerk] = [2]*Message{}
	}
	m.dropEmpty()
	return true
}

// prune forgets past rounds that no rule needs, and opinions on values that no
// message kept is about.
func (m *Machine) prune() {
	m.rounds = slices.DeleteFunc(m.rounds, func(b ballots) bool {
		return b.round < m.at.round && !m.needs(b.round)
	})
	m.known = slices.DeleteFunc(m.known, func(o opinion) bool { return m.valueOf(o.id) == nil })
}

func (m *Machine) dropEmpty() {
	m.rounds = slices.DeleteFunc(m.rounds, func(b ballots) bool {
		for clerk := range m.cfg.Clerks {
			if b.spoke(clerk) {
				return false
			}
		}
		return true
	})
}

// proposal returns this round's proposal, or nil.
func (m *Machine) proposal() *Message {
	n := len(m.cfg.Clerks)
	return m.find(m.at.round).first(KindProposal, Proposer(m.cfg.Height, m.at.round, n))
}

// valueOf returns the bytes of a value proposed in any round kept, or nil. An
// honest vote for an id shows that its round's proposer proposed it, so it does
// not matter which round we have it from.
func (m *Machine) valueOf(id protocol.ID) []byte {
	if m.valid.round != NoRound && m.valid.id == id {
		return m.valid.value
	}
	for _, b := range m.rounds {
		for _, pair := range b.slots[KindProposal-1] {
			for _, p := range pair {
				if p != nil && p.header.Value == id {
					return p.value
				}
			}
		}
	}
	return nil
}
