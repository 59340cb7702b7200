package charter

import (
	"strings"
	"testing"
)

// What YAML can't express, or ParseYAML puts right, a peer can still send.
func TestValidateDecoded(t *testing.T) {
	for _, tt := range []struct {
		name, want string
		change     func(*Charter)
	}{
		{"utf-8", "charter: statutes: not valid UTF-8", func(c *Charter) { c.Statutes = "a\xff" }},
		{"nonchar", "charter: statutes: has the invisible character U+FFFE", func(c *Charter) { c.Statutes = "a\uFFFE" }},
		{"separator", "charter: statutes: has the invisible character U+2028", func(c *Charter) { c.Statutes = "a\u2028" }},
		{"offices unsorted", `charter: offices: "clerk" stands after "organiser"; sort them by name`, func(c *Charter) { c.Offices[0], c.Offices[1] = c.Offices[1], c.Offices[0] }},
		{"classes unsorted", `charter: classes: "budget" stands after "charter"; sort them by name`, func(c *Charter) { c.Classes[0], c.Classes[1] = c.Classes[1], c.Classes[0] }},
		{"office twice", "charter: office organiser: stands twice", func(c *Charter) { c.Offices[2].Name = "organiser" }},
		{"class twice", "charter: class budget: stands twice", func(c *Charter) { c.Classes = append(c.Classes[:1], c.Classes...) }},
		{"term negative", "charter: office clerk: term: -1s is negative; write 0 or more", func(c *Charter) { c.Offices[0].Term = -1 }},
		{"period negative", "charter: class budget: voting: -1s is negative; write 0 or more", func(c *Charter) { c.Classes[0].Voting = -1 }},
		{"suspend negative", "charter: suspend: -1h is too short", func(c *Charter) { c.Suspend = -hour }},
		{"age negative", "charter: admission: maxAge: -24h is too short", func(c *Charter) { c.Admission.MaxAge = -day }},
		{"version", "charter: version: 1099511627777 is out of range", func(c *Charter) { c.Version = MaxVersion + 1 }},
		{"newline in a name", `charter: office 1: name: "cl\nerk" can't be a name`, func(c *Charter) { c.Offices[0].Name = "cl\nerk" }},
		{"upper case in a class's name", `charter: class 6: name: "Ordinary" can't be a name`, func(c *Charter) {
			c.Classes = append(c.Classes, c.Classes[5])
			c.Classes[5].Name = "Ordinary"
		}},
		{"fraction", "charter: class budget: quorum: 1/1000001 has a number over 1000000", func(c *Charter) { c.Classes[0].Quorum = Fraction{1, MaxDen + 1} }},
		{"quorum of nothing", "charter: class budget: quorumOf: ", func(c *Charter) { c.Classes[0].QuorumOf = "votes" }},
		{"support of more than all", "charter: class budget: support: share: 2/1 is more", func(c *Charter) { c.Classes[0].Support.Share = Fraction{2, 1} }},
		{"too many sponsors", "charter: class budget: support: sponsors: 10001 is out", func(c *Charter) { c.Classes[0].Support = Support{MaxSponsors + 1, Fraction{0, 1}} }},
		{"support without a discussion", "charter: class ordinary: discussion: 0 is too short", func(c *Charter) { c.Classes[5].Support = Support{1, Fraction{0, 1}} }},
		{"objections without a contest", "charter: class ordinary: objections: setAside: nobody", func(c *Charter) { c.Classes[5].Objections = Objections{Fraction{1, 2}, Fraction{0, 1}} }},
		{"a half passes over objections", "charter: class ordinary: objections: override: 1/2 lets", func(c *Charter) { c.Classes[5].Objections = Objections{Fraction{0, 1}, Fraction{1, 2}} }},
		{"delegation", "charter: delegation: cap: 10001 is out", func(c *Charter) { c.Delegation.Cap = MaxCarried + 1 }},
		{"assist", "charter: assist: cap: 0 is out", func(c *Charter) { c.Assist.Office = OfficeClerk }},
		{"assist by nobody", `charter: assist: office: "nurse" is no office`, func(c *Charter) { c.Assist = Assist{"nurse", 1} }},
		{"offices", "charter: offices: 17 are too many", func(c *Charter) { c.Offices = make([]Office, 17) }},
		{"classes", "charter: classes: 17 are too many", func(c *Charter) { c.Classes = make([]Class, 17) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := mustTemplate(t, "union")
			tt.change(&c)
			if err := c.Validate(); err == nil || !strings.HasPrefix(err.Error(), tt.want) {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
}

// At each bound a charter is valid.
func TestValidateBounds(t *testing.T) {
	c := mustTemplate(t, "union")
	c.Version, c.Suspend, c.Statutes = MaxVersion, MaxSuspend, strings.Repeat("e", MaxStatutes)
	c.Admission = Admission{PolicyRegistrar, InvitesOfficers, 7, MaxUses, MaxAge, Vouch{}}
	c.Offices[0].Seats, c.Offices[1].Seats, c.Offices[1].Term = MaxClerks, MaxSeats, MaxTerm
	c.Classes[4].Threshold, c.Classes[4].Strict = Fraction{1, 2}, true
	c.Classes[5] = Class{
		ClassOrdinary,
		Fraction{1, 1},
		false, OfRoll,
		Fraction{1, 1},
		MaxPeriod, MaxPeriod, MaxPeriod, MaxPeriod, MaxPeriod,
		OfTurnout,
		Support{MaxSponsors, Fraction{1, 1}},
		Objections{Fraction{1, 1}, Fraction{1, 1}},
	}
	c.Delegation, c.Assist = Delegation{MaxCarried}, Assist{OfficeClerk, MaxAssisted}
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
}

// Every problem is told, not only the first.
func TestValidateAll(t *testing.T) {
	err := Charter{}.Validate()
	if err == nil {
		t.Fatal("the zero charter is valid")
	}
	for _, field := range []string{"version", "statutes", "admission: policy", "admission: invites", "admission: maxUses", "admission: maxAge", "offices", "classes", "suspend"} {
		if !strings.Contains(err.Error(), "charter: "+field+": ") {
			t.Errorf("nothing is said of %s in:\n%v", field, err)
		}
	}
}

// What YAML writes of a charter that is not valid stays inside its comments
// and quotes.
func TestYAMLNoEscape(t *testing.T) {
	c := mustTemplate(t, "club")
	c.Template, c.Offices[0].Name, c.Classes[0].Of = "a\nversion: 9", "x\nversion: 9", "y: z\nversion: 9"
	for line := range strings.Lines(string(YAML(c))) {
		if strings.HasPrefix(line, "version: 9") {
			t.Error("a name became a field")
		}
	}
}
