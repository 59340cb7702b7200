package state

import (
	"fmt"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/decision"
	"github.com/metastate-p2p/metastate/protocol/roll"
)

// An Explanation says what holds of a subject, and by which rules and records.
type Explanation struct {
	Verdict string
	Because []protocol.Reason // with words, oldest first
}

// Explain says why a persona has its standing, or why a proposal stands where
// it does. ok is false if the state knows neither.
func (s *State) Explain(subject protocol.ID) (e Explanation, ok bool) {
	if m := s.roll.Member(subject); m != nil {
		return Explanation{Verdict: m.Standing().String(), Because: worded(m.Because)}, true
	}
	if p := s.decisions.Poll(subject); p != nil {
		e = Explanation{Verdict: string(p.Phase), Because: worded(p.Because)}
		if p.Result != nil {
			for _, r := range p.Result.Rounds {
				e.Because = append(e.Because, protocol.Reason{Rule: decision.RuleClosed, Record: subject, Text: r.Text})
			}
		}
		return e, true
	}
	return e, false
}

func worded(list []protocol.Cause) []protocol.Reason {
	out := make([]protocol.Reason, len(list))
	for i, c := range list {
		r := protocol.Reason{Rule: c.Rule, Record: c.Record}
		if r.Text = roll.Words[r.Rule]; r.Text == "" {
			r.Text = decision.Words[r.Rule]
		}
		if r.Text == "" {
			r.Text = fmt.Sprintf("By the rule %s.", r.Rule)
		}
		out[i] = r
	}
	return out
}
