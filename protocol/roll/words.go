package roll

import "github.com/metastate-p2p/metastate/protocol"

// Rules that the roll cites (SPEC §5).
const (
	RuleFounder      protocol.Rule = "founder"
	RuleOpen         protocol.Rule = "admit/open"
	RuleInvite       protocol.Rule = "admit/invite"
	RuleByName       protocol.Rule = "admit/name"
	RuleVouch        protocol.Rule = "admit/vouch"
	RuleBallot       protocol.Rule = "admit/ballot"
	RulePending      protocol.Rule = "admit/pending"
	RuleUses         protocol.Rule = "invite/uses"
	RuleOffer        protocol.Rule = "invite/open"
	RuleRevoke       protocol.Rule = "invite/revoke"
	RuleGrant        protocol.Rule = "device/grant"
	RuleRevokeDevice protocol.Rule = "device/revoke"
	RuleRotate       protocol.Rule = "key/rotate"
	RuleRivals       protocol.Rule = "key/rivals"
	RuleSupport      protocol.Rule = "key/recover"
	RuleVeto         protocol.Rule = "key/recover/veto"
	RuleRecovered    protocol.Rule = "key/recovered"
	RuleAppoint      protocol.Rule = "office/appoint"
	RuleElected      protocol.Rule = "office/elected"
	RuleRecall       protocol.Rule = "office/recall"
	RuleResign       protocol.Rule = "office/resign"
	RuleServe        protocol.Rule = "office/serve"
	RuleTerm         protocol.Rule = "office/term"
	RuleSuspend      protocol.Rule = "suspend"
	RuleLapse        protocol.Rule = "suspend/lapse"
	RuleCertificate  protocol.Rule = "certificate"
	RuleMotion       protocol.Rule = "motion"
	RuleEndorse      protocol.Rule = "endorse"
	RuleExpelled     protocol.Rule = "expel/ballot"
	RuleLeave        protocol.Rule = "leave"
	RuleMoved        protocol.Rule = "moved"
	RuleClaim        protocol.Rule = "claim"
	RuleDouble       protocol.Rule = "clerk/double"
	RuleFork         protocol.Rule = "equivocation"
	RuleCut          protocol.Rule = "cut"
	RulePower        protocol.Rule = "power"
	RuleMalformed    protocol.Rule = "malformed"
)

// Words says each rule of this package that can stand behind a fact in a
// sentence. They are no part of the state.
var Words = map[protocol.Rule]string{
	RuleFounder:     "A founder, member and clerk from the first checkpoint on.",
	RuleOpen:        "The metastate is open: whoever asks is admitted.",
	RuleInvite:      "Admitted under an invite, which admits without a further act.",
	RuleByName:      "Approved by name by one who may admit.",
	RuleVouch:       "A member of long enough standing vouched for the person.",
	RuleBallot:      "Admitted by a decision of the members.",
	RulePending:     "Came under an invite and waits for what the charter asks for besides.",
	RuleUses:        "Came under an invite that more people used at once than it has uses; waits for admission by name.",
	RuleRivals:      "The next key of the persona signed two different rotations: somebody else may have it.",
	RuleSupport:     "A guardian of the persona said which key it shall go on with.",
	RuleVeto:        "The key that the persona had committed to signed a rotation, which vetoes what its guardians wanted.",
	RuleRecovered:   "Enough guardians gave the persona another key, and no rotation by its committed key vetoed that in time.",
	RuleAppoint:     "Appointed to an office by the founder, sole clerk at the time.",
	RuleElected:     "Elected to an office by the members.",
	RuleRecall:      "Recalled from an office, or put into it, by more than half of the members.",
	RuleResign:      "Gave up an office.",
	RuleTerm:        "The term of an office ended.",
	RuleSuspend:     "Suspended by one officer of higher rank, for as long as the charter lets one officer do so.",
	RuleLapse:       "The suspension ran out.",
	RuleCertificate: "Enough members endorsed it: more than half of all, or of the holders of the same office and at least three.",
	RuleExpelled:    "Expelled by a decision of the members.",
	RuleLeave:       "Left; leaving needs nobody's consent.",
	RuleMoved:       "Took standing along to a fork, where it can be claimed; it can't be taken twice.",
	RuleClaim:       "Came from the parent: proved to have left it for here.",
	RuleDouble:      "Signed two different things as a clerk at one place of the agreement.",
	RuleFork:        "A device of the persona signed two different records at one place in its chain.",
}
