package roll

import (
	"cmp"
	"slices"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/protocol"
)

// A sentence takes a persona's standing.
type sentence struct {
	target   protocol.ID
	record   protocol.ID // of the act
	standing Standing
	why      protocol.Reason
}

// strike decides a record before any rule runs. The first decision stands.
func (f *fold) strike(r *protocol.Record, rule protocol.Rule, text string) {
	if _, done := f.verdicts[r.ID()]; !done {
		f.verdicts[r.ID()] = protocol.Void(r, rule, text)
	}
}

func (f *fold) struck(r *protocol.Record) bool {
	_, done := f.verdicts[r.ID()]
	return done
}

// strikeForks strikes out what devices signed that signed two records at one
// seq, from there on, and what forks a chain where it is final already
// (SPEC §5.7).
func (f *fold) strikeForks() {
	type place struct {
		key [32]byte
		seq uint64
	}
	seen := map[place]protocol.ID{}
	forkAt := map[[32]byte]uint64{}
	for _, r := range f.Records {
		h := r.Header()
		d := f.Base.Device(h.Key)
		if d == nil || d.Marks().Revoked != 0 {
			continue
		}
		if h.Seq < d.Chain.Next {
			f.strike(r, RuleFork, "Another record of this device stands at this place already, and is final.")
			continue
		}
		at := place{h.Key, h.Seq}
		if _, ok := seen[at]; !ok {
			seen[at] = r.ID()
			continue
		}
		if was, ok := forkAt[h.Key]; !ok || h.Seq < was {
			forkAt[h.Key] = h.Seq
		}
	}
	for _, r := range f.Records {
		h := r.Header()
		if seq, forked := forkAt[h.Key]; forked && h.Seq >= seq {
			f.strike(r, RuleFork, "The device signed two different records at one place in its chain.")
			if _, ok := f.forked[h.Key]; !ok {
				f.forked[h.Key] = r.ID()
			}
		}
	}
}

// certified finds the suspensions and expulsions that enough have endorsed:
// every one stands, whatever became of who endorsed it, so none can undo
// another. Of several cuts of one chain the lowest counts.
func (f *fold) certified() (list []sentence, cuts map[protocol.ID]*cut) {
	cuts = map[protocol.ID]*cut{}
	for _, act := range f.certificates(protocol.Suspend, protocol.Expel) {
		m := f.motions[act]
		f.done[act] = true
		if !f.standsToFall(m) {
			continue
		}
		s := sentence{m.Target(), act, Suspended, protocol.Reason{Rule: RuleCertificate, Record: act}}
		if m.Kind == protocol.Expel {
			s.standing = Expelled
		}
		list = append(list, s)
		if cuts[s.target] == nil {
			cuts[s.target] = &cut{}
		}
		cuts[s.target].add(f, act, m.Restrict.Cut)
	}
	return list, cuts
}

// cutAll strikes out what certificates cut.
func (f *fold) cutAll(cuts map[protocol.ID]*cut) {
	for target, c := range cuts {
		f.sentenced[target] = true
		for _, r := range f.byAuthor[target] {
			if c.takes(f, r) {
				f.strike(r, RuleCut, "The author's standing was taken by enough members, and this is after the cut that they set.")
			}
		}
	}
}

// standsToFall reports whether a motion's target is still the member whom its
// author saw: not out already, and not admitted again since.
func (f *fold) standsToFall(m *Motion) bool {
	t := f.Base.Member(m.Target())
	return t != nil && t.Standing() != Expelled && t.readmitted() <= m.Height
}

// A cut says up to where the chains of a target stand.
type cut struct {
	acts []protocol.ID
	next map[identity.PublicKey]uint64
}

// add lowers the cut to what an act says: for a device that it names, the place
// it gives if that is in its past; never below what is final.
func (c *cut) add(f *fold, act protocol.ID, places []Place) {
	c.acts = append(c.acts, act)
	named := map[identity.PublicKey]uint64{}
	for _, p := range places {
		if h, ok := f.headers[p.Head]; ok && h.Key == p.Device && h.Seq+1 == p.Next && h.Subject.IsZero() && f.Past(p.Head, act) {
			named[p.Device] = p.Next
		}
	}
	if c.next == nil {
		c.next = named
		return
	}
	for key, next := range c.next {
		c.next[key] = min(next, named[key])
	}
}

// takes reports whether the cut voids r. What takes no one's power but the
// author's own is never cut: a removal would hold back who wants to leave, or
// keep a seized device alive.
func (c *cut) takes(f *fold, r *protocol.Record) bool {
	switch r.Kind() {
	case protocol.Leave, protocol.Resign, protocol.Revoke, protocol.Rotate:
		return false
	}
	if r.Kind().ByPersona() {
		return slices.ContainsFunc(c.acts, func(act protocol.ID) bool { return !f.Past(r.ID(), act) })
	}
	h := r.Header()
	return h.Seq >= c.next[h.Key]
}

// alone carries out suspensions by one officer, strongest first, then
// departures, and strikes out what they cut.
func (f *fold) alone() (list []sentence) {
	for rank := RankClerk; rank > RankMember; rank-- {
		f.each(protocol.Suspend, func(r *protocol.Record) (protocol.Verdict, bool) {
			m := f.motions[r.ID()]
			if m == nil || !f.dominates(r) || f.s.Member(r.Author()).Rank() != rank {
				return protocol.Verdict{}, false
			}
			v := protocol.Stand(r, RuleSuspend, "Suspended by an officer of higher rank.")
			f.done[r.ID()] = true
			list = append(list, sentence{m.Target(), r.ID(), Suspended, v.Reason})
			if !f.sentenced[m.Target()] { // a certificate's cut goes before
				f.cutOutside(m.Target(), r.ID())
			}
			return v, true
		})
	}
	f.each(protocol.Leave, func(r *protocol.Record) (protocol.Verdict, bool) {
		m, ok := f.author(r)
		if !ok || !slices.Contains([]Standing{Full, Pending, Suspended, Frozen}, m.Standing()) {
			return noPower(r, "The author is not on the roll."), true
		}
		v := protocol.Stand(r, RuleLeave, "Leaving needs nobody's consent.")
		list = append(list, sentence{m.Persona, r.ID(), Left, v.Reason})
		f.cutOutside(m.Persona, r.ID())
		return v, true
	})
	return list
}

// suspendAgain is how long after a suspension nobody alone can suspend the same
// member again, seconds of checkpoint time.
const suspendAgain = 30 * 24 * 3600

// dominates reports whether r is a suspension that its author may make alone.
func (f *fold) dominates(r *protocol.Record) bool {
	m := f.motions[r.ID()]
	if r.Kind() != protocol.Suspend || m == nil {
		return false
	}
	// After recalls and convictions: who lost an office by them suspends nobody
	// alone any more, and who follows is out of reach already.
	a, _ := f.author(r)
	return f.power(r) > RankNone && MaySuspend(f.s.Member(a.Persona), f.s.Member(m.Target()), f.AsOf)
}

// MaySuspend reports whether m may suspend a target alone: an officer, somebody
// of lower rank who was not suspended lately. What one officer could repeat for
// ever would be an expulsion.
func MaySuspend(m, target *Member, asOf int64) bool {
	lately := slices.ContainsFunc(target.Spans, func(s Span) bool {
		return s.Standing == Suspended && s.AsOf > asOf-suspendAgain
	})
	return m.Rank() >= RankOfficer && target.Rank() < m.Rank() && !lately
}

// restriction judges the form of a suspension or expulsion, and whether there
// is somebody to restrict.
func (f *fold) restriction(r *protocol.Record) (RestrictBody, protocol.Verdict) {
	body, err := protocol.Body[RestrictBody](r)
	if err != nil || body.Validate() != nil {
		return body, protocol.Void(r, RuleMalformed, "It names a persona and gives a reason.")
	}
	m := f.Base.Member(body.Persona)
	switch {
	case m == nil || m.Standing() == Expelled: // who left may be kept from coming back
		return body, noPower(r, "The persona is not on the roll.")
	case r.Kind() == protocol.Suspend && m.Standing() != Full:
		return body, noPower(r, "Only a member in full standing can be suspended.")
	case m.readmitted() > r.Header().Checkpoint.Height:
		return body, noPower(r, "The persona was admitted again since the checkpoint that it cites.")
	}
	return body, protocol.Verdict{Stands: true}
}

// cutOutside strikes out what the target made that is not in an act's past.
func (f *fold) cutOutside(target, act protocol.ID) {
	for _, r := range f.byAuthor[target] {
		switch r.Kind() {
		case protocol.Leave, protocol.Resign, protocol.Revoke, protocol.Rotate:
			continue
		}
		if r.ID() != act && !f.Past(r.ID(), act) {
			f.strike(r, RuleCut, "The author's standing was taken, and this is not in the past of that act.")
		}
	}
}

// waiting gives the verdict on acts that need endorsements: done, or waiting
// for more, or nothing can come of them.
func (f *fold) waiting(which func(*protocol.Record) bool) {
	fresh := map[protocol.ID]int{}
	for act, m := range f.motions {
		if f.Base.Motion(act) == nil && !f.done[act] {
			fresh[m.By]++
		}
	}
	for _, r := range f.Records {
		if !which(r) || f.struck(r) {
			continue
		}
		switch m := f.motions[r.ID()]; {
		case m == nil:
			f.verdicts[r.ID()] = f.noMotion(r)
		case f.done[r.ID()]:
			f.verdicts[r.ID()] = protocol.Stand(r, RuleCertificate, "Enough members endorsed it.")
		case fresh[m.By]+len(f.Base.Member(m.By).Quota().Motions) > MaxMotions:
			f.verdicts[r.ID()] = noPower(r, "Too many acts of the author wait for endorsements.")
		default:
			f.verdicts[r.ID()] = protocol.Stand(r, RuleMotion, "It waits for more endorsements.")
		}
	}
}

// noMotion says why nothing can come of an act.
func (f *fold) noMotion(r *protocol.Record) protocol.Verdict {
	if a, ok := f.author(r); !ok || !a.Voice() || r.Kind() == protocol.Appoint && a.Rank() == RankNone {
		return noPower(r, "Only members act on the roll.")
	}
	var v protocol.Verdict
	switch r.Kind() {
	case protocol.Appoint:
		_, v = f.appointment(r)
	case protocol.Recall:
		_, v = f.recall(r)
	default:
		_, v = f.restriction(r)
	}
	return v
}

// carryOut changes the standing of those restricted.
func (f *fold) carryOut(list []sentence) {
	for key, record := range f.forked {
		d := *f.s.Device(key)
		marks := d.Marks()
		marks.Forked = true
		d.mark(marks)
		f.s.devices = f.s.devices.Put(key, &d)
		list = append(list, sentence{d.Persona, record, Suspended, protocol.Reason{Rule: RuleFork, Record: record}})
	}
	for persona, record := range f.frozen {
		list = append(list, sentence{persona, record, Frozen, protocol.Reason{Rule: RuleRivals, Record: record}})
	}
	// The gravest comes last, and whoever left and was expelled is expelled. Of
	// several suspensions the reason kept does not hang on their order, and one by
	// an officer alone, which takes least, goes last.
	slices.SortFunc(list, func(a, b sentence) int {
		alone := map[protocol.Rule]int{RuleSuspend: 1}
		return cmp.Or(cmp.Compare(gravity[a.standing], gravity[b.standing]), cmp.Compare(alone[a.why.Rule], alone[b.why.Rule]), a.record.Compare(b.record))
	})
	for _, x := range list {
		m := f.s.Member(x.target)
		if gravity[m.Standing()] >= gravity[x.standing] {
			continue
		}
		c := *m
		c.Until = 0
		switch x.standing {
		case Suspended:
			if m.Standing() != Full {
				continue
			}
			c.Until = f.Step.AsOf + f.Charter.Suspend
		case Left:
			c.Approved, c.Moved = nil, f.moves(x.target)
			c.hold(nil)
		case Expelled: // who leaves at the same time takes nothing along
			c.Approved, c.Moved = nil, f.Base.Member(x.target).Moved
			c.hold(nil)
		}
		after := c.with(f.Step, x.standing, x.why)
		if x.standing == Left && m.Moved != c.Moved {
			after.Because = appendBounded(after.Because, protocol.Cause{Rule: RuleMoved, Record: x.record}, maxReasons)
		}
		f.s = f.s.put(after)
	}
}

// gravity orders the standings that are taken from somebody.
var gravity = map[Standing]int{Suspended: 1, Frozen: 2, Left: 3, Expelled: 4}
