package main

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/certificate"
	"github.com/metastate-p2p/metastate/protocol/checkpoint"
	"github.com/metastate-p2p/metastate/protocol/decision"
	"github.com/metastate-p2p/metastate/protocol/state"
)

// A clerk is a member who signs checkpoints, with a node: what it holds, and its
// latest checkpoint.
type clerk struct {
	*person
	at      *final
	held    map[protocol.ID]bool
	open    []*protocol.Record // held and not covered
	machine *checkpoint.Machine
	began   uint64 // the machine's height
}

func (c *clerk) height() uint64 { return c.at.tip.Ref().Height }

// Header is the header of a record that the node holds.
func (c *clerk) Header(id protocol.ID) (h protocol.Header, ok bool) {
	if !c.held[id] {
		return h, false
	}
	r := c.world.records[id]
	return r.Header(), r.Plane() == protocol.Control
}

// CheckpointID is the id of the checkpoint final at a height here.
func (c *clerk) CheckpointID(height uint64) (id protocol.ID, ok bool) {
	if height == 0 || height > c.height() {
		return id, false
	}
	return c.world.chain[height-1].tip.Ref().ID, true
}

// Covered reports whether the node's latest checkpoint covers a control record.
func (c *clerk) Covered(id protocol.ID) bool { return c.at.tip.Covered(protocol.ID{}).Has(id) }

// Began is 0: each node has the whole history.
func (c *clerk) Began() uint64 { return 0 }

var _ state.Holdings = (*clerk)(nil)

// receive judges a record as every node does (SPEC §4.1), and keeps it.
func (c *clerk) receive(r *protocol.Record) error {
	if c.held[r.ID()] {
		return nil
	}
	if err := c.at.tip.State().Receive(r, c); err != nil {
		return err
	}
	c.held[r.ID()], c.world.records[r.ID()] = true, r
	c.open = append(c.open, r)
	return nil
}

// adopt makes a certified checkpoint the node's latest.
func (c *clerk) adopt(f *final) {
	c.at, c.machine = f, nil
	for _, id := range f.covers {
		c.held[id] = true
	}
	c.open = slices.DeleteFunc(c.open, func(r *protocol.Record) bool {
		p := f.tip.State().Decisions().Poll(r.Header().Subject)
		return f.tip.Covers(r) || p != nil && p.Phase != decision.Voting
	})
}

// send brings records to all clerks on a side, who must take them.
func (w *world) send(side int, list ...*protocol.Record) error {
	for _, c := range w.clerks {
		if c.side != side {
			continue
		}
		for _, r := range list {
			if err := c.receive(r); err != nil {
				return fmt.Errorf("a %s is not taken: %w", r.Kind(), err)
			}
		}
	}
	return nil
}

// A meeting is the clerks of one side who try to agree on the next checkpoint.
// Messages arrive in the order they were sent; when nothing is on its way, the
// timer that is due first fires.
type meeting struct {
	clerks  []*clerk
	inbox   []delivery
	timers  []timer
	elapsed time.Duration
	decided *certificate.Certificate
	err     error
}

type delivery struct {
	to *clerk
	in checkpoint.Input
}

type timer struct {
	at time.Duration
	delivery
}

// errNoQuorum says that too few clerks reach each other.
var errNoQuorum = errors.New("too few clerks reach each other to make anything final")

// agree has the clerks of a side make the next checkpoint final.
func (w *world) agree(side int) error {
	m := &meeting{}
	for _, c := range w.clerks {
		if c.side == side {
			m.clerks = append(m.clerks, c)
		}
	}
	for _, c := range m.clerks {
		if c.machine == nil || c.began != c.height()+1 {
			var err error
			c.began = c.height() + 1
			c.machine, err = checkpoint.New(checkpoint.Config{
				Metastate: w.genesis.ID(), Height: c.began, Prev: c.at.tip.Ref().ID, Clerks: c.at.tip.Clerks(), Signer: c.device,
			})
			if err != nil {
				return err
			}
		}
		m.inbox = append(m.inbox, delivery{c, checkpoint.Start{}})
	}
	for m.decided == nil && m.err == nil {
		if !m.step() {
			return errNoQuorum
		}
	}
	if m.err != nil {
		return m.err
	}
	first := m.clerks[0]
	if _, err := m.decided.Verify(w.genesis.ID(), first.at.tip.Signers()); err != nil {
		return err
	}
	f := w.compute(first.at, m.decided.Value)
	if f == nil {
		return errors.New("clerks decided what does not follow")
	}
	if err := w.certified(f, *m.decided); err != nil {
		return err
	}
	for _, c := range m.clerks {
		c.adopt(f)
	}
	return nil
}

// step delivers a message or lets a timer fire. It is false when there is neither,
// or when clerks have waited for an hour.
func (m *meeting) step() bool {
	if len(m.inbox) == 0 {
		if len(m.timers) == 0 || m.elapsed > time.Hour {
			return false
		}
		next := slices.MinFunc(m.timers, func(a, b timer) int { return int(a.at - b.at) })
		m.timers = slices.DeleteFunc(m.timers, func(t timer) bool { return t == next })
		m.elapsed, m.inbox = next.at, []delivery{next.delivery}
	}
	d := m.inbox[0]
	m.inbox = m.inbox[1:]
	outputs, _ := d.to.machine.Step(d.in)
	for _, out := range outputs {
		m.carryOut(d.to, out)
	}
	return true
}

// carryOut does what a machine asks. Nothing is made durable: these clerks never
// crash.
func (m *meeting) carryOut(c *clerk, out checkpoint.Output) {
	switch out := out.(type) {
	case checkpoint.Broadcast:
		for _, to := range m.clerks {
			if to != c {
				m.inbox = append(m.inbox, delivery{to, checkpoint.Received(out)})
			}
		}
	case checkpoint.NeedValue:
		next, err := c.at.tip.Propose(c.open, c.world.now)
		if err != nil {
			m.err = err
			return
		}
		for _, b := range next.Chunks {
			c.world.chunks[protocol.Sum(b)] = b
		}
		m.inbox = append(m.inbox, delivery{c, checkpoint.Propose{Round: out.Round, Value: next.Encoded}})
	case checkpoint.Judge:
		m.inbox = append(m.inbox, delivery{c, checkpoint.Judged{Value: out.ID, Fresh: out.Fresh, OK: c.judge(out)}})
	case checkpoint.Schedule:
		m.timers = append(m.timers, timer{m.elapsed + out.After, delivery{c, checkpoint.TimedOut{Step: out.Step, Round: out.Round}}})
	case checkpoint.Decided:
		m.decided = &out.Certificate
	case checkpoint.Refused:
		m.err = errors.New("a quorum made final what a clerk found invalid")
	}
}

// judge says whether a value follows from what the clerk has, and if it is to be
// fresh, whether its time is right.
func (c *clerk) judge(q checkpoint.Judge) bool {
	v, err := certificate.ParseValue(q.Value)
	if err != nil || c.compute(c.at, q.Value) == nil {
		return false
	}
	return !q.Fresh || v.AsOf == c.world.now
}
