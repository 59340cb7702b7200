package node

import (
	"fmt"
	"slices"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/certificate"
	"github.com/metastate-p2p/metastate/protocol/roll"
	"github.com/metastate-p2p/metastate/protocol/state"
)

// Why explains whatever a ref names: a persona's standing, where a proposal
// stands, who holds an office, or what became of a record (an act, an
// endorsement, a ballot).
func (c *Community) Why(ref string) (Why, error) {
	s := c.Snapshot()
	if s == nil {
		return Why{}, errNotYet()
	}
	if _, ok := s.Final.Charter().Office(ref); ok {
		return s.whyOffice(ref), nil
	}
	if id, err := c.Member(ref); err == nil {
		return c.RollWhy(id)
	}
	if _, err := s.proposal(ref); err == nil {
		return c.ProposalWhy(ref)
	}
	id, err := protocol.ParseID(ref)
	if err == nil {
		if inner, err := c.stored(id); err == nil {
			return c.whyRecord(s, inner)
		}
	}
	return Why{}, &Error{
		Code: "not-found", Exit: ExitNotFound, Err: err,
		Message: "no persona, office, proposal or record of that name is held here",
		Hint:    "records are named by their whole id; metastate sync now brings what others hold",
	}
}

// whyOffice says who holds an office, and by which acts.
func (s *Snapshot) whyOffice(office string) Why {
	w := Why{Because: []protocol.Reason{}}
	holders := s.View.Roll().Holders(office)
	for _, p := range holders {
		m := s.View.Roll().Member(p)
		for _, h := range m.Offices() {
			if h.Office != office {
				continue
			}
			r := protocol.Reason{Rule: roll.RuleFounder, Record: h.Record}
			if i := slices.IndexFunc(m.Because, func(c protocol.Cause) bool { return c.Record == h.Record }); i >= 0 {
				r.Rule = m.Because[i].Rule
			}
			r.Text = fmt.Sprintf("%s: %s", named(m), roll.Words[r.Rule])
			if h.Until != 0 {
				r.Text += " The term ends " + at(h.Until).Format("2006-01-02 15:04:05 UTC") + "."
			}
			w.Because = append(w.Because, r)
		}
	}
	switch len(holders) {
	case 0:
		w.Verdict = "vacant"
		if office == roll.Clerk {
			w.Because = s.caretakers()
		}
	case 1:
		w.Verdict = "held by one"
	default:
		w.Verdict = fmt.Sprintf("held by %d", len(holders))
	}
	return w
}

// caretakers are those who sign checkpoints while nobody is a clerk (SPEC §5.5).
func (s *Snapshot) caretakers() []protocol.Reason {
	list := []protocol.Reason{}
	for _, c := range s.View.Roll().Clerks() {
		list = append(list, protocol.Reason{
			Rule: "caretaker", Record: c.Persona,
			Text: named(s.View.Roll().Member(c.Persona)) + ": Signed checkpoints last, and goes on until somebody holds the office.",
		})
	}
	return list
}

// named is what to call a member.
func named(m *roll.Member) string {
	if m.Name != "" {
		return m.Name
	}
	return m.Persona.String()
}

// whyRecord says what became of a record: the verdict of the checkpoint that
// covers it, computed again, or what it would be if it were covered now.
func (c *Community) whyRecord(s *Snapshot, inner []byte) (Why, error) {
	r, err := protocol.Parse(inner)
	if err != nil {
		return Why{}, err
	}
	ref, covered, err := c.book().coveredAt(r.ID())
	if err != nil {
		return Why{}, err
	}
	var verdicts []protocol.Verdict
	if covered {
		if verdicts, err = c.book().verdictsAt(ref.Height); err != nil {
			return Why{}, err
		}
	} else {
		open := make([]*protocol.Record, 0, len(s.Open))
		for _, o := range s.Open {
			open = append(open, o)
		}
		_, verdicts = s.Final.Advance(state.Step{Records: open, Provisional: true})
	}
	i := slices.IndexFunc(verdicts, func(v protocol.Verdict) bool { return v.Record == r.ID() })
	if i < 0 {
		return Why{Verdict: "void", Because: []protocol.Reason{{
			Rule: "late", Record: r.ID(), Text: "No checkpoint covered it while it could count.",
		}}}, nil
	}
	w := Why{Verdict: "void", Because: []protocol.Reason{verdicts[i].Reason}}
	if verdicts[i].Stands {
		w.Verdict = "stands"
	}
	where := protocol.Reason{Rule: "provisional", Record: r.ID(), Text: "No checkpoint covers it yet: this is how it would count now."}
	if covered {
		where = protocol.Reason{Rule: "final", Record: ref.ID, Text: fmt.Sprintf("Checkpoint %d covers it: this is final.", ref.Height)}
	}
	w.Because = append(w.Because, where)
	if !covered && slices.ContainsFunc(s.View.Roll().JustRecalled(), func(x roll.Recalled) bool { return x.Act == r.ID() }) {
		w.Because = append(w.Because, protocol.Reason{Rule: roll.RuleRecall, Record: r.ID(), Text: fmt.Sprintf(
			"The clerks in force have %s to cover it. If they don't, those whom it names make the next checkpoint %s later.",
			InDays(recallPatience), InDays(recallMargin))})
	}
	return s.since(w, r), nil
}

// since adds what happened to a record that stood.
func (s *Snapshot) since(w Why, r *protocol.Record) Why {
	h := r.Header()
	if p := s.View.Decisions().Poll(h.Subject); p != nil && w.Verdict == "stands" {
		if v, ok := p.Ballots.Get(h.Persona); ok && v.Ballot != r.ID() {
			w.Verdict = "replaced"
			w.Because = append(w.Because, protocol.Reason{Rule: "ballot/seq", Record: v.Ballot, Text: "A later ballot of the same voter counts instead."})
		}
	}
	if m := s.View.Roll().Motion(r.ID()); m != nil {
		t := s.Final.Roll().Count(m)
		w.Verdict = "waiting"
		text := fmt.Sprintf("%d members endorsed it, and %d are needed.", t.Roll, t.RollNeeds)
		if t.BodyNeeds > 0 {
			text += fmt.Sprintf(" Or %d who hold the same office: %d did.", t.BodyNeeds, t.Body)
		}
		w.Because = append(w.Because, protocol.Reason{Rule: roll.RuleMotion, Record: r.ID(), Text: text})
	} else if w.Because[0].Rule == roll.RuleMotion {
		w.Because[0].Text = "It needed more endorsements when it came."
		w.Verdict, w.Because = "over", append(w.Because, s.outcome(r.ID()))
		if w.Because[len(w.Because)-1].Rule != roll.RuleMotion {
			w.Verdict = "stands"
		}
	}
	return w
}

// outcome says what became of an act that waits no more.
func (s *Snapshot) outcome(act protocol.ID) protocol.Reason {
	for m := range s.View.Roll().Members() {
		for _, cause := range m.Because {
			if cause.Record == act {
				return protocol.Reason{Rule: cause.Rule, Record: act, Text: roll.Words[cause.Rule]}
			}
		}
	}
	return protocol.Reason{Rule: roll.RuleMotion, Record: act, Text: "It waits no more: it lapsed, or there was nothing left for it to do, or what it did was long ago."}
}

// verdictsAt computes again what a final checkpoint made of its records.
func (l *ledger) verdictsAt(height uint64) ([]protocol.Verdict, error) {
	tip, err := l.replayTo(height - 1)
	if err != nil {
		return nil, err
	}
	_, v, err := l.certificateAt(height)
	if err != nil {
		return nil, err
	}
	recs, err := l.storedCover(v)
	if err != nil {
		return nil, err
	}
	next, err := tip.Apply(v, recs)
	return next.Verdicts, err
}

// storedCover reads the records that a stored checkpoint newly covers.
func (l *ledger) storedCover(v certificate.Value) (recs []*protocol.Record, err error) {
	sets, err := v.NewlyCovered(l.storedChunk)
	if err != nil {
		return nil, err
	}
	for _, set := range sets {
		for _, id := range set.IDs {
			r, err := l.record(id)
			if err != nil {
				return nil, l.errHistory(v.Height, err)
			}
			recs = append(recs, r)
		}
	}
	return recs, nil
}
