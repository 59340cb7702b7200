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
		return Explanation{Verdict: string(m.Standing()), Because: worded(m.Because)}, true
	}
	if p := s.decisions.Poll(subject); p != nil {
		e = Explanation{Verdict: string(p.Phase), Because: worded(p.Because)}
		if p.Result != nil {
			for _, r := range p.Result.Rounds {
				e.Because = append(e.Because, protocol.Reason{Rule: decision.RuleClosed, Record: subject, Text: r})
			}
		}
		return e, true
	}
	return e, false
}

// words says each rule in a sentence.
var words = map[protocol.Rule]string{
	roll.RuleFounder:    "A founder, member and clerk from the first checkpoint on.",
	roll.RuleInvite:     "Admitted under an invite, which admits without a further act.",
	roll.RuleByName:     "Approved by name by one who may admit.",
	roll.RulePending:    "Came under an invite and waits for the approval that the charter asks for.",
	roll.RuleUses:       "Came under an invite that more people used at once than it has uses; waits for admission by name.",
	roll.RuleAppoint:    "Appointed to an office by the founder, sole clerk at the time.",
	roll.RuleSuspend:    "Suspended by one officer of higher rank, for as long as the charter lets one officer do so.",
	roll.RuleLapse:      "The suspension ran out.",
	roll.RuleLeave:      "Left; leaving needs nobody's consent.",
	roll.RuleFork:       "A device of the persona signed two different records at one place in its chain.",
	decision.RuleOpen:   "A member put it to the vote under the charter.",
	decision.RuleClosed: "The vote closed at the first checkpoint at or past its deadline.",
}

func worded(list []protocol.Reason) []protocol.Reason {
	out := make([]protocol.Reason, len(list))
	for i, r := range list {
		if r.Text = words[r.Rule]; r.Text == "" {
			r.Text = fmt.Sprintf("By the rule %s.", r.Rule)
		}
		out[i] = r
	}
	return out
}
