package checkpoint

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/certificate"
)

// Config says what a machine is to agree on, and with whom.
type Config struct {
	Metastate protocol.ID
	Height    uint64              // from 1
	Prev      protocol.ID         // the final value at Height−1; zero at height 1
	Era       protocol.ID         // that of the value: a recall, or zero ([certificate.Value.Era])
	Clerks    []certificate.Clerk // in force at Height, all machines in the same order
	Signer    identity.Signer     // of one of Clerks; nil only watches
	Timeouts  Timeouts
}

// Timeouts are how long a clerk waits in each step of round 0, and how much
// longer in each round after. The zero Timeouts suit links of seconds.
type Timeouts struct {
	Propose, ProposeDelta     time.Duration // 0: 3 s, and 1 s more each round
	Prevote, PrevoteDelta     time.Duration // 0: 1 s, and 0.5 s
	Precommit, PrecommitDelta time.Duration // 0: 1 s, and 0.5 s
}

// maxTimeout bounds every wait: longer than any link takes, short enough that
// clerks who dragged each other to a high round still meet.
const maxTimeout = 5 * time.Minute

func (t Timeouts) after(s Step, round uint32) time.Duration {
	base, delta, defBase, defDelta := t.Propose, t.ProposeDelta, 3*time.Second, time.Second
	switch s {
	case StepPrevote:
		base, delta, defBase, defDelta = t.Prevote, t.PrevoteDelta, time.Second, time.Second/2
	case StepPrecommit:
		base, delta, defBase, defDelta = t.Precommit, t.PrecommitDelta, time.Second, time.Second/2
	}
	if base <= 0 {
		base = defBase
	}
	if delta <= 0 {
		delta = defDelta
	}
	base, delta = min(base, maxTimeout), min(delta, maxTimeout)
	return min(base+time.Duration(round)*delta, maxTimeout) // MaxRound · maxTimeout fits 63 bits
}

// Machine is the agreement of clerks on the value of one height: Algorithm 1
// of Buchman, Kwon and Milosevic, 'The latest gossip on BFT consensus'
// (arXiv:1807.04938), whose line numbers the code cites. It does no I/O, reads
// no clock, starts no goroutine, and gives the same outputs for the same
// inputs. It is not safe for concurrent use.
type Machine struct {
	cfg     Config
	self    int // index of the signer's key, or -1
	at      position
	locked  lock
	valid   lock
	own     []*Message // signed in this round, in order
	proof   []*Message // the prevotes that made valid so
	passage []*Message // the precommits that ended the round before
	rounds  []ballots  // by rising round
	known   []opinion
	turn    turn
}

// position is where the machine stands.
type position struct {
	round   uint32
	step    Step
	asked   bool    // NeedValue stands for round
	armed   [3]bool // timers scheduled in round, by step
	started bool
	over    bool
}

// lock is a value with the round whose quorum of prevotes carries it.
type lock struct {
	round int64 // NoRound: none
	id    protocol.ID
	value []byte // valid only: locked is compared and never sent
}

// turn gathers what one input brings about; it is empty between inputs.
type turn struct {
	out   []Output
	dirty bool // what Persist records has changed
}

// New returns the machine of a height that this clerk has signed nothing in
// before; otherwise [Resume].
func New(cfg Config) (*Machine, error) {
	m, err := newMachine(cfg)
	if err != nil {
		return nil, fmt.Errorf("checkpoint: new machine: %w", err)
	}
	return m, nil
}

func newMachine(cfg Config) (*Machine, error) {
	if err := certificate.CheckKeys(cfg.Clerks); err != nil {
		return nil, err
	}
	if cfg.Metastate.IsZero() || cfg.Height == 0 || cfg.Prev.IsZero() != (cfg.Height == 1) {
		return nil, errors.New("no metastate or height, or not exactly one value before")
	}
	cfg.Clerks = slices.Clone(cfg.Clerks)
	m := &Machine{cfg: cfg, self: -1, locked: lock{round: NoRound}, valid: lock{round: NoRound}}
	if cfg.Signer != nil {
		m.self = slices.IndexFunc(cfg.Clerks, func(c certificate.Clerk) bool { return c.Key == cfg.Signer.Public() })
		if m.self < 0 {
			return nil, errors.New("the signer is none of the clerks")
		}
	}
	return m, nil
}

// Clone returns a machine that goes its own way from here. Messages and values,
// which never change, are shared.
func (m *Machine) Clone() *Machine {
	c := *m
	c.own, c.proof, c.passage = slices.Clone(m.own), slices.Clone(m.proof), slices.Clone(m.passage)
	c.known, c.rounds = slices.Clone(m.known), slices.Clone(m.rounds)
	for i := range c.rounds {
		for k := range c.rounds[i].slots {
			c.rounds[i].slots[k] = slices.Clone(c.rounds[i].slots[k])
		}
	}
	return &c
}

// Messages returns what the clerk sends again until the height is decided,
// since gossip loses messages: its own of this round, the prevotes that carry
// the value it would propose, and the precommits that ended the round before.
// The last two let clerks who missed them follow, even if their authors are
// gone; without them a loss could stop the agreement for good. At most
// 3 + 2·MaxClerks messages.
func (m *Machine) Messages() []*Message {
	out := slices.Clone(m.own)
	for _, msg := range slices.Concat(m.proof, m.passage) {
		if !slices.Contains(out, msg) {
			out = append(out, msg)
		}
	}
	return out
}

// Round returns where the machine stands, for display.
func (m *Machine) Round() (uint32, Step) { return m.at.round, m.at.step }

// Step takes one input and returns what is to be done, in order, and what
// became of the input.
func (m *Machine) Step(in Input) ([]Output, Verdict) {
	v := m.take(in)
	if v != Accepted && v != Conflicting {
		return nil, v
	}
	m.settle()
	out := m.turn.out
	if m.turn.dirty && m.self >= 0 {
		out = slices.Insert(out, 0, Output(Persist{m.record()}))
	}
	m.turn = turn{}
	return out, v
}

func (m *Machine) take(in Input) Verdict {
	if _, first := in.(Start); m.at.over || first == m.at.started {
		return Over
	}
	switch in := in.(type) {
	case Start:
		m.begin()
	case Propose:
		return m.takeProposed(in)
	case Received:
		return m.receive(in.Message)
	case TimedOut:
		return m.timeOut(in)
	case Judged:
		return m.takeJudged(in)
	}
	return Accepted
}

// begin enters round 0, or goes on where Resume left off.
func (m *Machine) begin() {
	m.at.started = true
	for _, own := range m.own {
		m.broadcast(own)
	}
	if m.at.step == StepPropose {
		m.enterPropose()
	}
}

func (m *Machine) emit(o Output) { m.turn.out = append(m.turn.out, o) }

// broadcast sends to the others, if there are any.
func (m *Machine) broadcast(msg *Message) {
	if len(m.cfg.Clerks) > 1 {
		m.emit(Broadcast{msg})
	}
}

// arm schedules the round's timer of a step, once. A lone clerk waits for
// nobody.
func (m *Machine) arm(s Step) {
	if m.at.armed[s] || len(m.cfg.Clerks) == 1 {
		return
	}
	m.at.armed[s] = true
	m.emit(Schedule{Step: s, Round: m.at.round, After: m.cfg.Timeouts.after(s, m.at.round)})
}

// send signs a message of this round, unless one of its kind exists: a clerk
// signs one of each kind a round, whatever else happens. One may exist although
// this machine never signed it, if the clerk lost its record and others return
// its messages: then that one stands.
func (m *Machine) send(h Header, value []byte) {
	if m.self < 0 {
		return
	}
	h.Clerk, h.Height, h.Round, h.Era = m.self, m.cfg.Height, m.at.round, m.cfg.Era
	msg := m.ballotsAt(h.Round).first(h.Kind, m.self)
	if msg == nil {
		msg = signMessage(m.cfg.Signer, m.cfg.Metastate, h, value, m.cfg.Prev)
		m.ballotsAt(h.Round).slots[h.Kind-1][m.self][0] = msg
	}
	m.own = append(m.own, msg)
	m.turn.dirty = true
	m.broadcast(msg)
}

func (m *Machine) vote(kind Kind, id protocol.ID) {
	m.send(Header{Kind: kind, ValidRound: NoRound, Value: id}, nil)
	m.at.step = Step(kind - KindProposal)
}
