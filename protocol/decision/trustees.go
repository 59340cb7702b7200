package decision

import (
	"errors"
	"fmt"
	"iter"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/charter"
	"github.com/metastate-p2p/metastate/protocol/dagcbor"
	"github.com/metastate-p2p/metastate/protocol/decision/committee"
	"github.com/metastate-p2p/metastate/protocol/roll"
)

// Trustees are who would hold the key of a secret vote that is proposed now: the
// holders of the office who have a voice, by rising persona, and the id of the
// committee that they are. Of fewer or more than 4, 7, 10, … 31 there is none.
func Trustees(s roll.State) (personas []protocol.ID, id protocol.ID) {
	type holder struct {
		Persona protocol.ID `cbor:"p"`
		Record  protocol.ID `cbor:"r"`
	}
	var list []holder
	for m := range s.Members() {
		for _, h := range m.Offices() {
			if h.Office == charter.OfficeTrustee && !h.Over && m.Voice() {
				list = append(list, holder{m.Persona, h.Record})
				personas = append(personas, m.Persona)
			}
		}
	}
	return personas, protocol.Sum(append([]byte("metastate/committee/1"), dagcbor.Encode(list)...))
}

// holders are the trustees in the base. They are found once in a step.
func (f *fold) holders() (personas []protocol.ID, id protocol.ID) {
	if f.trusteesID.IsZero() {
		f.trustees, f.trusteesID = Trustees(f.BaseRoll.Base)
	}
	return f.trustees, f.trusteesID
}

// patience is how long a committee waits in each stage for who is away: a tenth of
// the vote that it is called for, at least 5 s and at most 6 h. A rehearsal can be
// shorter than its class has votes: its committee, which serves the whole term, waits
// as for one that is not.
func (f *fold) patience(b ProposeBody) int64 {
	class, _ := f.Charter.Class(b.Class)
	return min(max(b.Voting/10, class.Voting/10, 5), 6*3600)
}

// mayBeSecret requires trustees for a secret vote.
func (f *fold) mayBeSecret(b ProposeBody) error {
	if b.Secret == (SecretBody{}) {
		return nil
	}
	personas, id := f.holders()
	if c, ok := f.s.committees.Get(id); ok && c.Stage == committee.Failed {
		return errors.New("the trustees in office could not make a key: others are needed")
	}
	if _, err := committee.New(id, personas, 0); err != nil {
		return fmt.Errorf("a secret vote needs 4, 7, 10, … trustees in office, and there are %d", len(personas))
	}
	return nil
}

// call calls the committee of the trustees in office for a secret vote.
func (f *fold) call(p *Poll) {
	personas, id := f.holders()
	p.Secret = &Secrecy{Committee: id}
	if f.s.committees.Has(id) {
		return
	}
	if c, err := committee.New(id, personas, f.patience(p.Body)); err == nil {
		f.s = f.s.putCommittee(c)
	}
}

func (s State) putCommittee(c *committee.Committee) State {
	var was int64
	if old, ok := s.committees.Get(c.ID); ok {
		was = old.Until
	}
	s.timers = s.timers.Move(c.ID, was, c.Until)
	s.committees = s.committees.Put(c.ID, c)
	return s
}

// Committee is one of trustees, nil if there is none of that id.
func (s State) Committee(id protocol.ID) *committee.Committee {
	c, _ := s.committees.Get(id)
	return c
}

// Committees are all that were called, in order of their ids.
func (s State) Committees() iter.Seq[*committee.Committee] {
	return func(yield func(*committee.Committee) bool) {
		for _, c := range s.committees.All() {
			if !yield(c) {
				return
			}
		}
	}
}

// Asks reports whether something is asked of a persona as a trustee: their
// committee makes its key, or a vote of theirs waits to be opened.
func (s State) Asks(persona protocol.ID) bool {
	ready := map[protocol.ID]bool{}
	for id, c := range s.committees.All() {
		switch {
		case c.Number(persona) == 0 || c.Stage == committee.Failed:
		case c.Stage != committee.Ready:
			return true
		default:
			ready[id] = true
		}
	}
	if len(ready) == 0 {
		return false
	}
	for _, p := range s.polls.All() {
		if p.Phase == Closed && ready[p.Secret.Committee] {
			return true
		}
	}
	return false
}

// trustee judges what a trustee says while the key is made.
func (f *fold) trustee(r *protocol.Record) protocol.Verdict {
	body, err := protocol.Body[TrusteeBody](r)
	if err != nil {
		return malformed(r)
	}
	base, ok := f.Base.committees.Get(body.Committee)
	if !ok {
		return protocol.Void(r, RulePhase, "There is no such committee.")
	}
	if !f.speaks(r) {
		return protocol.Void(r, RulePower, "The device may not sign for this persona.")
	}
	c, err := f.s.Committee(body.Committee).Apply(base, committee.Message{
		Record: r.ID(), Persona: r.Author(), Device: r.Header().Key, Stage: body.Stage, Body: body.Message,
	})
	if err != nil {
		return protocol.Void(r, RuleTrustee, "It does not count: "+err.Error()+".")
	}
	f.s = f.s.putCommittee(c)
	return protocol.Stand(r, RuleTrustee, "What a trustee says while the committee makes its key.")
}

// speaks reports whether a record is by a live device of its author's, whatever
// their standing: who has a share keeps it.
func (f *fold) speaks(r *protocol.Record) bool {
	h := r.Header()
	d := f.BaseRoll.Base.Device(h.Key)
	return d != nil && d.Persona == h.Persona && d.Live(f.BaseRoll.AsOf)
}

// tick ends the stages of committees that are over, and lets the votes go on that
// wait for a key: they open, or end for want of one.
func (f *fold) tick() {
	for id, c := range f.s.committees.All() {
		if c.Stage == committee.Ready || c.Stage == committee.Failed {
			continue
		}
		next := c.Tick(f.Step.AsOf)
		if next == c {
			continue
		}
		f.s = f.s.putCommittee(next)
		if next.Stage != committee.Ready && next.Stage != committee.Failed {
			continue
		}
		for p := range f.s.Polls() {
			if p.Phase == Frozen && p.Next == 0 && p.Secret != nil && p.Secret.Committee == id {
				q := *p
				q.Next = f.Step.AsOf
				f.s = f.s.put(&q)
			}
		}
	}
}

// keyed is how far the key is without which a vote can't open: Ready, also of one
// that is not secret.
func (f *fold) keyed(p *Poll) committee.Stage {
	if p.Secret == nil {
		return committee.Ready
	}
	return f.s.Committee(p.Secret.Committee).Stage
}
