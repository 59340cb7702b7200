package decision

import (
	"github.com/metastate-p2p/metastate/protocol"
)

// Rules that decisions cite (SPEC §8).
const (
	RuleOpen      protocol.Rule = "proposal/open"
	RuleBallot    protocol.Rule = "ballot"
	RuleElector   protocol.Rule = "ballot/electorate"
	RuleNotOpen   protocol.Rule = "ballot/not-open"
	RuleChoice    protocol.Rule = "ballot/choice"
	RuleSeq       protocol.Rule = "ballot/seq"
	RuleClosed    protocol.Rule = "poll/closed"
	RuleVersion   protocol.Rule = "ballot/version"
	RuleReason    protocol.Rule = "ballot/reason"
	RuleAssisted  protocol.Rule = "ballot/assisted"
	RulePhase     protocol.Rule = "proposal/phase"
	RuleRevised   protocol.Rule = "proposal/revised"
	RuleWithdrawn protocol.Rule = "proposal/withdrawn"
	RuleSupport   protocol.Rule = "proposal/support"
	RuleNoSupport protocol.Rule = "proposal/unsupported"
	RuleContest   protocol.Rule = "decision/contest"
	RuleSetAside  protocol.Rule = "decision/set-aside"
	RuleDissent   protocol.Rule = "decision/dissent"
	RuleDelegate  protocol.Rule = "delegate"
	RuleComment   protocol.Rule = "comment"
	RuleProof     protocol.Rule = "ballot/proof"
	RuleTrustee   protocol.Rule = "trustee"
	RuleAck       protocol.Rule = "open/acknowledge"
	RuleShare     protocol.Rule = "open/share"
	RuleBadShare  protocol.Rule = "open/bad-share"
	RuleOpened    protocol.Rule = "poll/opened"
	RuleNoKey     protocol.Rule = "poll/no-key"
	RulePower     protocol.Rule = "power"
	RuleMalformed protocol.Rule = "malformed"
)

// Words says each rule that can stand behind a decision in a sentence.
var Words = map[protocol.Rule]string{
	RuleOpen:   "A member put it to the vote under the charter.",
	RuleClosed: "The vote closed at the first checkpoint at or past its deadline.",

	RuleOpened:    "Enough trustees gave their shares, and the sum of its ballots was opened.",
	RuleNoKey:     "Its trustees could not make a key, as too few of them dealt good shares.",
	RuleRevised:   "Its author put another text in its place while it was discussed.",
	RuleWithdrawn: "Its author took it back before the vote.",
	RuleNoSupport: "Too few members supported it by the end of its discussion for a vote.",
	RuleSetAside:  "So many of those who could vote objected to the decision that it is set aside until it is taken once more.",
}
