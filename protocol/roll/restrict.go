package roll

import (
	"cmp"
	"slices"

	"github.com/metastate-p2p/metastate/protocol"
)

// A restriction is an act that takes a persona's standing, whose records
// outside the act's own past are cut.
type restriction struct {
	target   protocol.ID
	record   protocol.ID
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
// (SPEC §5.5).
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
		if d == nil {
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

// restrictions finds the suspensions and departures that stand, strongest
// first, and strikes out what they cut.
func (f *fold) restrictions() []restriction {
	var list []restriction
	for rank := RankClerk; rank > RankMember; rank-- {
		f.each(protocol.Suspend, func(r *protocol.Record) (protocol.Verdict, bool) {
			if f.power(r) != rank {
				return protocol.Verdict{}, false
			}
			target, v := f.suspension(r, rank)
			if v.Stands {
				list = append(list, f.cut(restriction{target, r.ID(), Suspended, v.Reason}))
			}
			return v, true
		})
	}
	f.each(protocol.Suspend, func(r *protocol.Record) (protocol.Verdict, bool) {
		return noPower(r, "Only an officer can suspend."), true
	})
	f.each(protocol.Leave, func(r *protocol.Record) (protocol.Verdict, bool) {
		m, ok := f.author(r)
		if !ok || !slices.Contains([]Standing{Full, Pending, Suspended}, m.Standing()) {
			return noPower(r, "The author is not on the roll."), true
		}
		v := protocol.Stand(r, RuleLeave, "Leaving needs nobody's consent.")
		list = append(list, f.cut(restriction{m.Persona, r.ID(), Left, v.Reason}))
		return v, true
	})
	return list
}

// suspension judges a lone suspension by an officer of the given rank.
func (f *fold) suspension(r *protocol.Record, rank int) (target protocol.ID, v protocol.Verdict) {
	body, err := protocol.Body[SuspendBody](r)
	if err != nil || body.Validate() != nil {
		return target, protocol.Void(r, RuleMalformed, "A suspension names a persona and gives a reason.")
	}
	m := f.Base.Member(body.Persona)
	if m == nil || m.Standing() != Full {
		return target, noPower(r, "Only a member in full standing can be suspended.")
	}
	if m.Rank() >= rank {
		return target, noPower(r, "One officer alone can suspend only someone of lower rank.")
	}
	return body.Persona, protocol.Stand(r, RuleSuspend, "Suspended by an officer of higher rank.")
}

// cut strikes out what the target made that is not in the restriction's past.
// A departure is never cut: it needs nobody's consent, and a suspension would
// hold back who wants to leave.
func (f *fold) cut(x restriction) restriction {
	for _, r := range f.byAuthor[x.target] {
		if r.ID() != x.record && r.Kind() != protocol.Leave && !f.Past(r.ID(), x.record) {
			f.strike(r, RuleCut, "The author's standing was taken, and this is not in the past of that act.")
		}
	}
	return x
}

// restrict changes the standing of those restricted.
func (f *fold) restrict(list []restriction) {
	for key, record := range f.forked {
		d := *f.s.Device(key)
		d.Forked = true
		f.s.devices = f.s.devices.Put(key, &d)
		list = append(list, restriction{d.Persona, record, Suspended, protocol.Reason{Rule: RuleFork, Record: record}})
	}
	// Leaving comes last: who leaves is gone, suspended or not. Of several
	// suspensions of one persona the reason kept does not hang on their order.
	slices.SortFunc(list, func(a, b restriction) int {
		return cmp.Or(cmp.Compare(order(a), order(b)), a.record.Compare(b.record))
	})
	for _, x := range list {
		m := f.s.Member(x.target)
		c := *m
		switch {
		case x.standing == Suspended && m.Standing() == Full:
			c.Until = f.Step.AsOf + f.Charter.Suspend
		case x.standing == Left && m.Standing() != Left:
			c.Until, c.Offices = 0, nil
		default:
			continue
		}
		f.s = f.s.put(c.with(f.Step, x.standing, x.why))
	}
}

func order(x restriction) int {
	if x.standing == Left {
		return 1
	}
	return 0
}
