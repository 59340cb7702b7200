package charter

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// YAML writes a valid charter as people read and edit it: above each choice a
// comment in plain words says what follows from it, for the value that is
// chosen. ParseYAML reads back an equal charter. The comments are not part of
// the charter.
func YAML(c Charter) []byte {
	w := &writer{}
	w.comment(0, "A metastate's charter. "+purpose(c.Template)+" "+
		"Edit what you like before founding, and check it with: metastate charter check FILE. "+
		"Afterwards it changes only by a decision of the class charter.")
	w.line(0, "version: %d", c.Version)
	w.line(0, "template: %s", text(c.Template))
	w.blank()
	w.admission(c.Admission)
	w.blank()
	w.comment(0, "Offices are duties that members give to members. Whoever holds one is an officer: alone, they may suspend someone of lower rank for a short time, and never expel.")
	w.line(0, "offices:")
	for _, o := range c.Offices {
		w.office(o)
	}
	w.blank()
	w.comment(0, "Each kind of decision has its own rule. Periods are like 12h or 30d, and 0 for none. The parts, in order: discussion (the text may change), freeze (it may not), voting (at least so long), contest (the count may be challenged), exit (who disagrees may leave first).")
	w.line(0, "classes:")
	for _, k := range c.Classes {
		w.class(k)
	}
	w.blank()
	w.comment(0, "One officer alone can keep a member from acting for this long, at most 72h; then it ends by itself unless a majority has decided.")
	w.line(0, "suspend: %s", formatSeconds(c.Suspend))
	if c.Retention != 0 {
		w.blank()
		w.comment(0, "Nodes keep ballots at least so long after the vote, 30d or more. Results are kept for ever.")
		w.line(0, "retention: %s", formatSeconds(c.Retention))
	}
	w.voting(c)
	w.blank()
	w.comment(0, "The text that each member agrees to by joining. At most 40 KiB.")
	w.statutes(c.Statutes)
	return w.Bytes()
}

// A writer builds YAML.
type writer struct{ bytes.Buffer }

func (w *writer) blank() { w.WriteByte('\n') }

func (w *writer) line(indent int, format string, args ...any) {
	w.WriteString(strings.Repeat(" ", indent))
	fmt.Fprintf(w, format, args...)
	w.WriteByte('\n')
}

// comment writes s in lines of about 76 columns. Splitting at white space, it
// lets no text out of the comment.
func (w *writer) comment(indent int, s string) {
	const width = 76
	start := strings.Repeat(" ", indent) + "#"
	line := start
	for _, word := range strings.Fields(s) {
		if line != start && len(line)+1+len(word) > width {
			w.line(0, "%s", line)
			line = start
		}
		line += " " + word
	}
	w.line(0, "%s", line)
}

func (w *writer) admission(a Admission) {
	w.comment(0, "Who becomes a member.")
	w.line(0, "admission:")
	w.comment(2, "open, invite, registrar, vouch or ballot. "+policyMeans(a))
	w.line(2, "policy: %s", text(a.Policy))
	w.comment(2, "members or officers. "+invitesMean(a.Invites))
	w.line(2, "invites: %s", text(a.Invites))
	w.comment(2, "How many registrars must approve an application. Read only with the policy registrar.")
	w.line(2, "registrars: %d", a.Registrars)
	w.comment(2, "No invite can be used more often than this: so many strangers can come in by a link that leaks.")
	w.line(2, "maxUses: %d", a.MaxUses)
	w.comment(2, "No invite lives longer than this.")
	w.line(2, "maxAge: %s", formatSeconds(a.MaxAge))
	if a.Vouch != (Vouch{}) {
		w.comment(2, "How many members must vouch for a newcomer, how long they must have been members, and for how many one of them may vouch in 30 days.")
		w.line(2, "vouch:")
		w.line(4, "needs: %d", a.Vouch.Needs)
		w.line(4, "age: %s", formatSeconds(a.Vouch.Age))
		w.line(4, "cap: %d", a.Vouch.Cap)
	}
}

func policyMeans(a Admission) string {
	switch a.Policy {
	case PolicyOpen:
		return "As chosen, whoever agrees to the statutes is admitted: easy to join, and easy to flood with false members before a vote."
	case PolicyRegistrar:
		return fmt.Sprintf("As chosen, an application waits until registrars approve it (%d of them): the roll is checked by people, and joining waits for them.", a.Registrars)
	}
	if a.Policy == PolicyVouch {
		return fmt.Sprintf("As chosen, an application waits until members vouch for it (%d of them): the roll grows along trust between people.", a.Vouch.Needs)
	}
	if a.Policy == PolicyBallot {
		return "As chosen, an application waits for a decision of the members: everybody is asked, and joining takes a vote."
	}
	return "As chosen, an invite admits at once, with no further act: whoever may invite decides who comes in, and each admission names its invite."
}

func invitesMean(who string) string {
	if who == InvitesOfficers {
		return "As chosen, only members who hold an office may invite: slower to grow, harder to infiltrate, and nobody comes in while the officers are away."
	}
	return "As chosen, every member may invite: it grows without waiting for an officer, and is only as careful as its least careful member."
}

var dutyOf = map[string]string{
	OfficeClerk:     "Clerks co-sign checkpoints, which makes records final. With 4 clerks one may fail or cheat without harm, with 7 two; with fewer than 4, none. They can delay, not forge.",
	"organiser":     "Organisers run campaigns and bring people in.",
	OfficeRegistrar: "Registrars look after the roll: who is a member and who has left.",
	"steward":       "Stewards mediate disputes, and see to safety and to who is heard.",
	"treasurer":     "Treasurers keep the books. No money moves by this software; they record it.",
	"trustee":       "Trustees hold shares of the key to secret ballots. With 4, any 2 together can open the count, and 1 may be absent or cheat; with 7, 3 and 2.",
}

func (w *writer) office(o Office) {
	duty, ok := dutyOf[o.Name]
	if !ok {
		duty = "An office of this metastate's own."
	}
	if o.Term == 0 {
		duty += " Held until recalled."
	} else {
		duty += " Powers end with the term unless given again."
	}
	w.comment(2, duty)
	w.line(2, "- name: %s", text(o.Name))
	w.line(4, "seats: %d", o.Seats)
	w.line(4, "term: %s", formatSeconds(o.Term))
}

var aboutClass = map[string]string{
	ClassBudget:     "Budgets: spending and dues.",
	ClassCharter:    "Charter: changes of this file, statutes or parameters.",
	ClassElection:   "Elections: who holds an office, and recall. Methods that rank or list people count by their own rules; the threshold is for yes and no.",
	ClassEntrenched: "Entrenched articles: those that the statutes call so. Two votes are needed, at least 30 days apart.",
	ClassExpulsion:  "Expulsion, which ends a membership. It is counted of the whole roll, so that the few who come on a quiet day expel nobody.",
	ClassOrdinary:   "Ordinary: everything else, and whatever names no class.",
}

func (w *writer) class(c Class) {
	about, ok := aboutClass[c.Name]
	if !ok {
		about = "A kind of decision of this metastate's own."
	}
	w.comment(2, about)
	w.line(2, "- name: %s", text(c.Name))
	w.comment(4, thresholdMeans(c))
	w.line(4, "threshold: %v", c.Threshold)
	w.line(4, "strict: %t", c.Strict)
	w.line(4, "of: %s", text(c.Of))
	w.comment(4, quorumMeans(c))
	w.line(4, "quorum: %v", c.Quorum)
	w.comment(4, periodsMean(c))
	w.line(4, "discussion: %s", formatSeconds(c.Discussion))
	w.line(4, "freeze: %s", formatSeconds(c.Freeze))
	w.line(4, "voting: %s", formatSeconds(c.Voting))
	w.line(4, "contest: %s", formatSeconds(c.Contest))
	w.line(4, "exit: %s", formatSeconds(c.Exit))
	if c.QuorumOf != "" {
		w.comment(4, "roll: so many of all who may vote take part. turnout: so many of those who vote say yes or no, instead of abstaining.")
		w.line(4, "quorumOf: %s", text(c.QuorumOf))
	}
	if c.Support != (Support{}) {
		w.comment(4, "What a proposal needs by the end of its discussion, or it is not voted on: members who support it besides its author, and the least part of all members with its author.")
		w.line(4, "support:")
		w.line(6, "sponsors: %d", c.Support.Sponsors)
		w.line(6, "share: %v", c.Support.Share)
	}
	if c.Objections != (Objections{}) {
		w.comment(4, "So many of the electorate, objecting in the contest period, set a decision aside until it is decided once more; and so many of those who consent or object decide by consent over objections. 0/1 for never.")
		w.line(4, "objections:")
		w.line(6, "setAside: %v", c.Objections.SetAside)
		w.line(6, "override: %v", c.Objections.Override)
	}
}

// voting writes how members may vote by others.
func (w *writer) voting(c Charter) {
	if c.Delegation != (Delegation{}) {
		w.blank()
		w.comment(0, "Members may give another member their vote, for all decisions, a class, or one. Their own ballot always comes first. Nobody carries more than this besides their own; what is over it abstains. Never in secret votes.")
		w.line(0, "delegation:")
		w.line(2, "cap: %d", c.Delegation.Cap)
	}
	if c.Assist != (Assist{}) {
		w.blank()
		w.comment(0, "Who holds this office may enter the vote of a member who can't, each for so many members in one vote. The member is told, and their own ballot comes first. Such votes are counted apart. Never in secret votes.")
		w.line(0, "assist:")
		w.line(2, "office: %s", text(c.Assist.Office))
		w.line(2, "cap: %d", c.Assist.Cap)
	}
}

func thresholdMeans(c Class) string {
	how := "at least"
	if c.Strict {
		how = "more than"
	}
	if c.Of == OfRoll {
		return fmt.Sprintf("Passes if %s %v of all who may vote say yes: of 150 members, %d. Who does not vote counts against.",
			how, c.Threshold, c.Needs(150))
	}
	tie := "On a tie it fails."
	if c.Passes(1, 2) {
		tie = "On a tie it passes."
	}
	return fmt.Sprintf("Passes if %s %v of the yes and no votes are yes: of 12, %d. Abstentions count for neither side. %s",
		how, c.Threshold, c.Needs(12), tie)
}

func quorumMeans(c Class) string {
	q := c.Quorum
	if q.Num == 0 && c.Of == OfRoll {
		return "No least turnout besides: the threshold counts everybody already."
	}
	if q.Num == 0 {
		return "No least turnout: those who vote decide, and nobody can stop a decision by staying away."
	}
	return fmt.Sprintf("Void unless %v of all who may vote take part, abstentions included: of 150 members, %d.", q, q.Needs(150))
}

func periodsMean(c Class) string {
	sum := c.Discussion + c.Freeze + c.Voting + c.Contest + c.Exit
	if sum == 0 {
		return "No waiting: it is in force when the vote closes, and the vote is as long as whoever opens it says."
	}
	s := fmt.Sprintf("From proposal to force at least %s.", formatSeconds(sum))
	if c.Exit > 0 {
		s += fmt.Sprintf(" Whoever disagrees has %s to leave with their share before it binds them.", formatSeconds(c.Exit))
	}
	return s
}

// reserved are names that some readers of YAML take for something else.
var reserved = []string{"true", "false", "null", "yes", "no", "on", "off", "y", "n"}

// text writes a text on one line, in quotes where it needs them.
func text(s string) string {
	if nameOK(s) && !slices.Contains(reserved, s) {
		return s
	}
	return quote(s)
}

// quote writes any text as JSON, which YAML reads.
func quote(s string) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		return `""` // a string always encodes
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// statutes writes them as a block, as they read, or in quotes if a block could
// not keep every byte.
func (w *writer) statutes(s string) {
	body, ended := strings.CutSuffix(s, "\n")
	lines := strings.Split(body, "\n")
	if !blockOK(lines) {
		w.line(0, "statutes: %s", quote(s))
		return
	}
	if ended {
		w.line(0, "statutes: |")
	} else {
		w.line(0, "statutes: |-")
	}
	for _, l := range lines {
		if l == "" {
			w.blank()
			continue
		}
		w.line(2, "%s", l)
	}
}

// blockOK reports whether lines can stand in a block: no tabs or other control
// characters, no line of spaces only, text in the first and the last, and no
// indent in the first.
func blockOK(lines []string) bool {
	for _, l := range lines {
		if l != "" && strings.TrimSpace(l) == "" || strings.ContainsFunc(l, func(r rune) bool { return r == '\t' || !textRune(r) }) {
			return false
		}
	}
	first, last := lines[0], lines[len(lines)-1]
	return first != "" && first[0] != ' ' && last != ""
}
