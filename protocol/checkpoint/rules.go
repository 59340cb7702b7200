package checkpoint

import (
	"slices"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/certificate"
)

// The rules of Algorithm 1. Each reports whether it brought the machine
// further; settle applies them until none does. Line numbers are the paper's.
func (m *Machine) settle() {
	for !m.at.over {
		if m.decide() || m.skip() || m.weigh() || m.lockOn() || m.giveUp() {
			continue
		}
		m.wait()
		return
	}
}

func (m *Machine) quorum() int {
	_, q := certificate.Quorum(len(m.cfg.Clerks))
	return q
}

// enter starts a round (L11–L21).
func (m *Machine) enter(round uint32) {
	var passage []*Message
	if round > 0 {
		passage = m.find(round - 1).any(KindPrecommit)
	}
	if len(passage) < m.quorum() {
		passage = nil
	}
	m.at = position{round: round, started: true}
	m.own, m.passage = nil, passage
	m.turn.dirty = true
	m.prune()
	m.enterPropose()
}

func (m *Machine) enterPropose() {
	m.arm(StepPropose)
	if Proposer(m.cfg.Height, m.at.round, len(m.cfg.Clerks)) != m.self {
		return
	}
	switch p := m.proposal(); {
	case p != nil && slices.Contains(m.own, p): // resumed
	case p != nil || m.valid.round != NoRound:
		h := Header{Kind: KindProposal, ValidRound: m.valid.round, Value: m.valid.id}
		m.send(h, m.valid.value)
	default:
		m.at.asked = true
		m.emit(NeedValue{Round: m.at.round})
	}
}

func (m *Machine) takeProposed(in Propose) Verdict {
	if !m.at.asked || in.Round != m.at.round || m.at.step != StepPropose {
		return Unasked
	}
	v, err := certificate.ParseValue(in.Value)
	if err != nil || v.Metastate != m.cfg.Metastate || v.Height != m.cfg.Height || v.Prev != m.cfg.Prev || v.Era() != m.cfg.Era {
		return Unfit
	}
	m.at.asked = false
	id := protocol.Sum(in.Value)
	*m.opinionOn(id) = opinion{id: id, timeless: yes, fresh: yes, freshRound: m.at.round}
	m.send(Header{Kind: KindProposal, ValidRound: NoRound, Value: id}, slices.Clone(in.Value))
	return Accepted
}

// weigh prevotes on this round's proposal (L22–L33). A value that a quorum has
// prevoted before is judged timelessly: clerks locked on it may return days
// later, when no clock would accept it, and nothing else could be decided.
func (m *Machine) weigh() bool {
	p := m.proposal()
	if p == nil || m.at.step != StepPropose {
		return false
	}
	id, from := p.header.Value, p.header.ValidRound
	if from != NoRound && len(m.find(uint32(from)).votes(KindPrevote, id)) < m.quorum() {
		return false
	}
	free := m.locked.round == NoRound || m.locked.id == id
	if from != NoRound {
		free = free || m.locked.round <= from
	}
	if !free {
		m.vote(KindPrevote, protocol.ID{})
		return true
	}
	answer := m.judge(id, from == NoRound && !m.carried(id))
	switch answer {
	case yes:
		m.vote(KindPrevote, id)
	case no:
		m.vote(KindPrevote, protocol.ID{})
	}
	return answer == yes || answer == no
}

// carried reports whether a quorum is known to have prevoted for a value.
func (m *Machine) carried(id protocol.ID) bool {
	if m.valid.round != NoRound && m.valid.id == id || m.locked.round != NoRound && m.locked.id == id {
		return true
	}
	for i := range m.rounds {
		if len(m.rounds[i].votes(KindPrevote, id)) >= m.quorum() {
			return true
		}
	}
	return false
}

// lockOn locks and precommits once a quorum of this round prevoted for a value
// (L36–L43).
func (m *Machine) lockOn() bool {
	b := m.find(m.at.round)
	if b == nil || m.at.step < StepPrevote || m.valid.round == int64(m.at.round) {
		return false
	}
	id, ok := b.quorum(KindPrevote, m.quorum())
	if !ok {
		return false
	}
	value := m.valueOf(id)
	if value == nil || m.judge(id, false) != yes {
		return false
	}
	m.valid = lock{round: int64(m.at.round), id: id, value: value}
	m.proof = b.votes(KindPrevote, id)
	m.turn.dirty = true
	if m.at.step == StepPrevote {
		m.locked = lock{round: int64(m.at.round), id: id}
		m.vote(KindPrecommit, id)
	}
	return true
}

// giveUp precommits nil once a quorum prevoted nil (L44–L46).
func (m *Machine) giveUp() bool {
	if m.at.step != StepPrevote || len(m.find(m.at.round).votes(KindPrevote, protocol.ID{})) < m.quorum() {
		return false
	}
	m.vote(KindPrecommit, protocol.ID{})
	return true
}

// wait schedules the timers of votes that came in without a result (L34, L47).
func (m *Machine) wait() {
	b := m.find(m.at.round)
	if m.at.step == StepPrevote && len(b.any(KindPrevote)) >= m.quorum() {
		m.arm(StepPrevote)
	}
	if len(b.any(KindPrecommit)) >= m.quorum() {
		m.arm(StepPrecommit)
	}
}

// decide ends the height once a quorum of any round precommitted to a value
// (L49–L54).
func (m *Machine) decide() bool {
	for i := range m.rounds {
		b := &m.rounds[i]
		id, ok := b.quorum(KindPrecommit, m.quorum())
		if !ok {
			continue
		}
		value := m.valueOf(id)
		if value == nil {
			continue // a certificate or the proposal will come
		}
		c := certificate.Certificate{Value: value, Round: b.round}
		for _, msg := range b.votes(KindPrecommit, id) {
			c.Signatures = append(c.Signatures, certificate.Signature{Clerk: uint8(msg.header.Clerk), Sig: msg.sig})
		}
		switch m.judge(id, false) {
		case yes:
			m.emit(Decided{c})
		case no:
			m.emit(Refused{c})
		default:
			continue
		}
		m.at.over = true
		return true
	}
	return false
}

// skip moves to a later round that f+1 clerks are in or past, one of them
// honest (L55–L56). The paper counts one round's messages at a time; counting
// how far each clerk has come finds a round at least as soon, and moving on is
// never unsafe.
func (m *Machine) skip() bool {
	var reached []uint32
	for clerk := range m.cfg.Clerks {
		for i := len(m.rounds) - 1; i >= 0 && m.rounds[i].round > m.at.round; i-- {
			if m.rounds[i].spoke(clerk) {
				reached = append(reached, m.rounds[i].round)
				break
			}
		}
	}
	f, _ := certificate.Quorum(len(m.cfg.Clerks))
	if len(reached) < f+1 {
		return false
	}
	slices.Sort(reached)
	m.enter(reached[len(reached)-1-f])
	return true
}

// timeOut takes a timer (L57–L67).
func (m *Machine) timeOut(in TimedOut) Verdict {
	if in.Round != m.at.round || in.Step > StepPrecommit || !m.at.armed[in.Step] {
		return Unasked
	}
	switch {
	case in.Step == StepPropose && m.at.step == StepPropose:
		m.vote(KindPrevote, protocol.ID{})
	case in.Step == StepPrevote && m.at.step == StepPrevote:
		m.vote(KindPrecommit, protocol.ID{})
	case in.Step == StepPrecommit && m.at.round < certificate.MaxRound:
		m.enter(m.at.round + 1)
	default:
		return Unasked
	}
	return Accepted
}

// Proposer returns the index, among n clerks, of the one whose turn it is to
// propose in a round of a height (SPEC §7.4).
func Proposer(height uint64, round uint32, n int) int {
	return int((height%uint64(n) + uint64(round)%uint64(n)) % uint64(n))
}
