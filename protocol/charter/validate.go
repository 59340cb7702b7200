package charter

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Validate returns nil if c can be a metastate's charter. Otherwise it returns
// every problem, joined: one line each that names the field, says why, and
// what to write instead.
func (c Charter) Validate() error {
	k := checker{}
	k.charter(c)
	k.order(c)
	return k.err(nil)
}

// A problem is one reason to refuse a charter.
type problem struct {
	field string // "class expulsion: threshold"; empty for the whole
	text  string // why, and what to write instead
	line  int    // of the file; 0 if not known
}

// A checker collects problems.
type checker struct{ found []problem }

func (k *checker) add(field, format string, args ...any) {
	k.found = append(k.found, problem{field: field, text: fmt.Sprintf(format, args...)})
}

// err joins the problems, with the lines of their fields where known.
func (k *checker) err(lines map[string]int) error {
	for i, p := range k.found {
		if p.line == 0 {
			k.found[i].line = lines[p.field]
		}
	}
	slices.SortStableFunc(k.found, func(a, b problem) int { return a.line - b.line })
	errs := make([]error, len(k.found))
	for i, p := range k.found {
		at := "charter: "
		if p.line > 0 {
			at += fmt.Sprintf("line %d: ", p.line)
		}
		if p.field != "" {
			at += p.field + ": "
		}
		errs[i] = errors.New(at + p.text)
	}
	return errors.Join(errs...)
}

// itemField names the i-th item of a list, in problems: "class expulsion", or
// "class 3" if its name can't be shown.
func itemField(kind string, i int, name string) string {
	if nameOK(name) {
		return kind + " " + name
	}
	return fmt.Sprintf("%s %d", kind, i+1)
}

// nameOK reports whether s is [a-z][a-z0-9-]{0,31}.
func nameOK(s string) bool {
	if s == "" || len(s) > MaxName || s[0] < 'a' || s[0] > 'z' {
		return false
	}
	return strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == "" // every byte is of the set
}

const nameRule = "use 1 to 32 of a-z, 0-9 and -, with a letter first, like %q"

// charter checks all but the order of lists.
func (k *checker) charter(c Charter) {
	k.span("version", c.Version, 1, MaxVersion)
	if c.Template != "" && !nameOK(c.Template) {
		k.add("template", `%s is no template's name; write one of %s, or ""`, quoted(c.Template), strings.Join(Templates(), ", "))
	}
	k.statutes(c.Statutes)
	k.admission(c)
	k.offices(c.Offices)
	k.classes(c.Classes)
	k.voting(c)
	k.period("suspend", c.Suspend, 1, MaxSuspend,
		"one officer alone may suspend only so long as a majority needs to meet")
	if c.Retention != 0 {
		k.period("retention", c.Retention, MinRetention, MaxRetention, "whoever was away must be able to recount what was decided")
	}
}

// voting checks how members may vote by others.
func (k *checker) voting(c Charter) {
	if c.Delegation != (Delegation{}) {
		k.span("delegation: cap", c.Delegation.Cap, 1, MaxCarried)
	}
	if c.Assist == (Assist{}) {
		return
	}
	k.span("assist: cap", c.Assist.Cap, 1, MaxAssisted)
	if _, ok := c.Office(c.Assist.Office); !ok {
		k.add("assist: office", "%s is no office of this charter; write one of those above", quoted(c.Assist.Office))
	}
}

// Keep is how long after a vote nodes keep its ballots, in seconds.
func (c Charter) Keep() int64 {
	if c.Retention == 0 {
		return defaultRetention
	}
	return c.Retention
}

// span checks a number of least to most.
func (k *checker) span(field string, n, least, most uint64) {
	if n < least || n > most {
		k.add(field, "%d is out of range; write a number from %d to %d", n, least, most)
	}
}

// period checks a duration of least to most seconds.
func (k *checker) period(field string, n, least, most int64, why string) {
	switch {
	case n < least && least > 0:
		k.add(field, "%s is too short: %s; write at most %s and more than 0", formatSeconds(n), why, formatSeconds(most))
	case n < least:
		k.add(field, "%s is negative; write 0 or more", formatSeconds(n))
	case n > most:
		k.add(field, "%s is too long: %s; write at most %s", formatSeconds(n), why, formatSeconds(most))
	}
}

func (k *checker) statutes(s string) {
	const field = "statutes"
	switch {
	case strings.TrimSpace(s) == "":
		k.add(field, "empty: members must have a text to agree to; write the purpose and the members' rights at least")
	case len(s) > MaxStatutes:
		k.add(field, "%d bytes are too many: every member's device keeps them; shorten to at most %d", len(s), MaxStatutes)
	case !utf8.ValidString(s):
		k.add(field, "not valid UTF-8, so members would see different texts; save the file as UTF-8")
	default:
		for _, r := range s {
			if !textRune(r) {
				k.add(field, "has the invisible character U+%04X, with which a text can read differently from what it says; remove it", r)
				return
			}
		}
	}
}

// textRune reports whether r may stand in statutes. Control characters, other
// line separators, byte order marks and bidirectional overrides may not: they
// let a text look unlike what its bytes say (CVE-2021-42574), and YAML would
// not keep them. Bidirectional isolates and marks may, as languages need them.
func textRune(r rune) bool {
	switch {
	case r == '\n' || r == '\t':
		return true
	case r == 0x2028 || r == 0x2029 || r == 0xFEFF || r >= 0x202A && r <= 0x202E:
		return false
	case r&0xFFFE == 0xFFFE || r >= 0xFDD0 && r <= 0xFDEF: // noncharacters
		return false
	}
	return !unicode.IsControl(r)
}

func (k *checker) admission(c Charter) {
	a := c.Admission
	k.word("admission: policy", a.Policy, PolicyOpen, PolicyInvite, PolicyRegistrar, PolicyVouch, PolicyBallot)
	k.word("admission: invites", a.Invites, InvitesMembers, InvitesOfficers)
	k.span("admission: maxUses", a.MaxUses, 1, MaxUses)
	k.period("admission: maxAge", a.MaxAge, 1, MaxAge, "an invite must be usable, and a forgotten one must end")
	switch {
	case a.Policy == PolicyVouch:
		k.span("admission: vouch: needs", a.Vouch.Needs, 1, MaxVouches)
		k.period("admission: vouch: age", a.Vouch.Age, 0, MaxPeriod, "nobody could vouch")
		k.span("admission: vouch: cap", a.Vouch.Cap, 1, MaxVouches)
	case a.Vouch != (Vouch{}):
		k.add("admission: vouch", `is read only with the policy "vouch"; leave it out, or write that policy`)
	}
	if a.Policy != PolicyRegistrar {
		return
	}
	switch o, ok := c.Office(OfficeRegistrar); {
	case !ok:
		k.add("admission: policy", `"registrar" needs an office of that name, or nobody could approve; add the office, or write "invite"`)
	case a.Registrars == 0:
		k.add("admission: registrars", "0 approvals would admit everybody unseen; write 1 or more, or the policy \"open\"")
	case a.Registrars > o.Seats:
		k.add("admission: registrars", "%d approvals can never be had of %d registrars; write at most %d", a.Registrars, o.Seats, o.Seats)
	}
}

// word checks that s is one of the words allowed.
func (k *checker) word(field, s string, allowed ...string) {
	if !slices.Contains(allowed, s) {
		k.add(field, "%s is not known; write one of %s", quoted(s), strings.Join(allowed, ", "))
	}
}

// quoted shows at most 40 characters of s.
func quoted(s string) string { return fmt.Sprintf("%.40q", s) }

func (k *checker) offices(list []Office) {
	if len(list) > MaxOffices {
		k.add("offices", "%d are too many; keep at most %d", len(list), MaxOffices)
		return
	}
	clerk := false
	for i, o := range list {
		field := itemField("office", i, o.Name)
		if !nameOK(o.Name) {
			k.add(field+": name", "%s can't be a name; "+nameRule, quoted(o.Name), "treasurer")
		}
		most := uint64(MaxSeats)
		if o.Name == OfficeClerk {
			clerk, most = true, MaxClerks
		}
		k.span(field+": seats", o.Seats, 1, most)
		k.period(field+": term", o.Term, 0, MaxTerm, "members should choose again")
	}
	if !clerk {
		k.add("offices", `there is no clerk, and without one nothing becomes final; add an office named "clerk" with 1 to %d seats`, MaxClerks)
	}
}

// order checks that the lists are sorted by name, which makes a charter's
// encoding unique.
func (k *checker) order(c Charter) {
	for i := 1; i < min(len(c.Offices), MaxOffices); i++ {
		if c.Offices[i].Name < c.Offices[i-1].Name {
			k.add("offices", "%s stands after %s; sort them by name", quoted(c.Offices[i].Name), quoted(c.Offices[i-1].Name))
		}
	}
	for i := 1; i < min(len(c.Classes), MaxClasses); i++ {
		if c.Classes[i].Name < c.Classes[i-1].Name {
			k.add("classes", "%s stands after %s; sort them by name", quoted(c.Classes[i].Name), quoted(c.Classes[i-1].Name))
		}
	}
	k.unique("office", len(c.Offices), func(i int) string { return c.Offices[i].Name })
	k.unique("class", len(c.Classes), func(i int) string { return c.Classes[i].Name })
}

// unique checks that no name of n stands twice.
func (k *checker) unique(kind string, n int, name func(int) string) {
	seen := map[string]bool{}
	for i := range min(n, max(MaxOffices, MaxClasses)) {
		if s := name(i); seen[s] {
			k.add(itemField(kind, i, s), "stands twice; remove or rename one")
		}
		seen[name(i)] = true
	}
}
