package main

import (
	"time"

	"github.com/metastate-p2p/metastate/protocol/charter"
)

// charterShown is a charter as data, and as the text that people read. In the
// data durations are as Go writes them and fractions as "2/3".
type charterShown struct {
	Version   uint64         `json:"version"`
	Template  string         `json:"template"`
	Statutes  string         `json:"statutes"`
	Admission admissionShown `json:"admission"`
	Offices   []officeShown  `json:"offices"`
	Classes   []classShown   `json:"classes"`
	Suspend   string         `json:"suspend"`
	YAML      string         `json:"yaml"`
}

type admissionShown struct {
	Policy     string `json:"policy"`
	Invites    string `json:"invites"`
	Registrars uint64 `json:"registrars"`
	MaxUses    uint64 `json:"maxUses"`
	MaxAge     string `json:"maxAge"`
}

type officeShown struct {
	Name  string `json:"name"`
	Seats uint64 `json:"seats"`
	Term  string `json:"term"`
}

type classShown struct {
	Name       string           `json:"name"`
	Threshold  charter.Fraction `json:"threshold"`
	Strict     bool             `json:"strict"`
	Of         string           `json:"of"`
	Quorum     charter.Fraction `json:"quorum"`
	Discussion string           `json:"discussion"`
	Freeze     string           `json:"freeze"`
	Voting     string           `json:"voting"`
	Contest    string           `json:"contest"`
	Exit       string           `json:"exit"`
}

func showCharter(c charter.Charter, text string) charterShown {
	v := charterShown{
		Version: c.Version, Template: c.Template, Statutes: c.Statutes,
		Admission: admissionShown{
			Policy: c.Admission.Policy, Invites: c.Admission.Invites, Registrars: c.Admission.Registrars,
			MaxUses: c.Admission.MaxUses, MaxAge: seconds(c.Admission.MaxAge),
		},
		Offices: []officeShown{}, Classes: []classShown{}, Suspend: seconds(c.Suspend), YAML: text,
	}
	for _, o := range c.Offices {
		v.Offices = append(v.Offices, officeShown{Name: o.Name, Seats: o.Seats, Term: seconds(o.Term)})
	}
	for _, k := range c.Classes {
		v.Classes = append(v.Classes, classShown{
			Name: k.Name, Threshold: k.Threshold, Strict: k.Strict, Of: k.Of, Quorum: k.Quorum,
			Discussion: seconds(k.Discussion), Freeze: seconds(k.Freeze), Voting: seconds(k.Voting),
			Contest: seconds(k.Contest), Exit: seconds(k.Exit),
		})
	}
	return v
}

// seconds writes a charter's duration as Go does. The bounds of a charter are
// far below what overflows.
func seconds(n int64) string { return (time.Duration(n) * time.Second).String() }
