package decision

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/abroad"
	"github.com/metastate-p2p/metastate/protocol/charter"
	"github.com/metastate-p2p/metastate/protocol/roll"
)

// What a decision can do besides being a decision.
const (
	Expel = "expel" // a persona, by the class expulsion
	Admit = "admit" // a persona that asked to join
	Elect = "elect" // the winners to an office, by the class election
	Amend = "amend" // the charter, by the class charter or entrenched
	Pact  = "pact"  // with another metastate, by the class charter
	Part  = "part"  // ends a pact, by the class charter
)

// EntrenchedGap is how long after the first vote on an entrenched article the
// second may open, in seconds.
const EntrenchedGap = 30 * 24 * 3600

// An Act is what takes effect when its decision is in force (SPEC §8.4).
type Act struct {
	Kind    string           `cbor:"kind"`
	Persona protocol.ID      `cbor:"persona,omitzero"`  // of expel and admit
	Office  string           `cbor:"office,omitempty"`  // of elect; options are persona ids
	Base    protocol.ID      `cbor:"base,omitzero"`     // of amend: the charter that it amends; of part: the pact
	Charter *charter.Charter `cbor:"charter,omitempty"` // of amend; in the state only its id is kept
	Pact    *abroad.Offer    `cbor:"pact,omitempty"`    // of pact; its terms are the proposal's text
}

func (a *Act) validate(b ProposeBody) error {
	want := Act{Kind: a.Kind}
	methods := []string{"yes-no"}
	switch a.Kind {
	case Expel, Admit:
		want.Persona = a.Persona
		if a.Persona.IsZero() {
			return errors.New("decision: the act names nobody")
		}
	case Elect:
		want.Office, methods = a.Office, electing
		if err := candidates(b); err != nil {
			return err
		}
	case Amend:
		want.Base, want.Charter = a.Base, a.Charter
		methods = []string{"yes-no", "consent"}
		if a.Charter == nil || a.Base.IsZero() {
			return errors.New("decision: an amendment gives the new charter and names the one that it amends")
		}
		if err := a.Charter.Validate(); err != nil {
			return fmt.Errorf("decision: the new charter: %w", err)
		}
	case Pact:
		want.Pact = a.Pact
		if a.Pact == nil || a.Pact.Terms != protocol.Sum([]byte(b.Text)) || b.Text == "" {
			return errors.New("decision: a pact names the other side, and its terms are the proposal's text")
		}
		if err := a.Pact.Validate(); err != nil {
			return err
		}
	case Part:
		want.Base = a.Base
		if a.Base.IsZero() {
			return errors.New("decision: the act names no pact")
		}
	default:
		return fmt.Errorf("decision: no act %.20q in this version", a.Kind)
	}
	if *a != want {
		return fmt.Errorf("decision: the act %s has fields of another", a.Kind)
	}
	if !slices.Contains(methods, b.Method) {
		return fmt.Errorf("decision: the act %s is decided by the method %s", a.Kind, strings.Join(methods, " or "))
	}
	return nil
}

// electing are the methods that fill offices.
var electing = []string{
	"plurality", "approval", "score", "schulze", "irv", "scottish-stv", "meek-stv", "meek-prf",
	"dhondt", "sainte-lague", "hare", "droop",
}

// listing are those in which people stand on lists.
var listing = []string{"dhondt", "sainte-lague", "hare", "droop"}

// candidates requires that who can be elected are ids of personas, each once.
func candidates(b ProposeBody) error {
	names := b.Options
	if slices.Contains(listing, b.Method) {
		if names = nil; len(b.Params.Lists) != len(b.Options) {
			return errors.New("decision: an election by lists names the candidates of each list")
		}
		for i, l := range b.Params.Lists {
			if len(l) == 0 {
				return fmt.Errorf("decision: the list %.40q has no candidates", b.Options[i])
			}
			for _, c := range l {
				names = append(names, c.Name)
			}
		}
	}
	seen := map[string]bool{}
	for _, o := range names {
		if id, err := protocol.ParseID(o); err != nil || id.String() != o || seen[o] {
			return errors.New("decision: who stands for an office is named by the id of a persona, each once")
		}
		seen[o] = true
	}
	return nil
}

// class requires the class of decision that an act takes under the charter.
func (f *fold) class(body ProposeBody) error {
	if body.Act == nil {
		return nil
	}
	switch a := body.Act; a.Kind {
	case Expel:
		if body.Class != charter.ClassExpulsion {
			return errors.New("an expulsion is decided by the class expulsion")
		}
	case Admit:
		if want := AdmitClass(f.BaseRoll.Base.Member(a.Persona)); body.Class != want && body.Class != charter.ClassExpulsion {
			return fmt.Errorf("this admission is decided by the class %s", want)
		}
	case Elect:
		office, ok := f.Charter.Office(a.Office)
		if !ok || body.Class != charter.ClassElection || max(body.Seats, 1) > office.Seats {
			return errors.New("an election fills an office of the charter, at most its seats, by the class election")
		}
	case Pact, Part:
		if body.Class != charter.ClassCharter && body.Class != charter.ClassEntrenched {
			return errors.New("a pact is decided by the class charter, and so is its end")
		}
	case Amend:
		if a.Base != f.CharterID {
			return errors.New("an amendment amends the charter in force")
		}
		if want := charter.AmendedBy(*f.Charter, *a.Charter); body.Class != want && body.Class != charter.ClassEntrenched {
			return fmt.Errorf("these changes of the charter are decided by the class %s", want)
		}
	}
	return nil
}

// AdmitClass is the class of decision that admits a persona: who was expelled comes
// back by the class that expels.
func AdmitClass(m *roll.Member) string {
	if m != nil && m.Standing() == roll.Expelled {
		return charter.ClassExpulsion
	}
	return charter.ClassElection
}

// An amendment is a decision in force to change the charter.
type amendment struct {
	to  *charter.Charter
	id  protocol.ID
	by  protocol.ID // of several decisions the lowest
	yes uint64
}

// enact carries out a decision that comes into force.
func (f *fold) enact(p *Poll) {
	a := p.Body.Act
	if a == nil || p.Result == nil || p.Body.Rehearsal {
		return
	}
	switch a.Kind {
	case Expel:
		f.Roll = f.Roll.Expel(a.Persona, p.Proposal, p.RecordDate, f.Step)
	case Admit:
		if p.Body.Class == charter.ClassExpulsion || p.Body.Class == AdmitClass(f.Roll.Member(a.Persona)) {
			f.Roll = f.Roll.Admit(a.Persona, p.Proposal, p.RecordDate, f.Step)
		}
	case Elect:
		var elected []protocol.ID
		for _, w := range p.Result.Winners {
			id, err := protocol.ParseID(w)
			if err == nil {
				elected = append(elected, id)
			}
		}
		f.Roll = f.Roll.Elect(a.Office, elected, p.Proposal, f.Step, f.Charter)
	case Pact:
		f.Abroad = f.Abroad.Offer(*a.Pact, p.Proposal, f.Step)
	case Part:
		f.Abroad = f.Abroad.End(a.Base, f.Step)
	case Amend:
		if a.Base != f.CharterID || p.Body.Class == charter.ClassEntrenched && !f.twice(p) {
			return
		}
		f.amend = append(f.amend, amendment{p.amends, p.charter, p.Proposal, p.Result.Votes[0].N})
	}
}

// twice reports whether the same change of the charter was in force by a vote
// that ended long enough before this one opened. If it was not, this is the
// first.
func (f *fold) twice(p *Poll) bool {
	first, ok := f.s.firsts.Get(p.charter)
	if ok && first.Base == p.Body.Act.Base && p.Opened >= first.At+EntrenchedGap {
		return true
	}
	if !ok || first.Base != p.Body.Act.Base {
		f.s.firsts = f.s.firsts.Put(p.charter, firstVote{Base: p.Body.Act.Base, At: f.Step.AsOf})
	}
	return false
}

// amended puts in force the charter after the step: of rival amendments in one
// checkpoint the one with more votes in favour, of equals neither.
func (f *fold) amended() (*charter.Charter, protocol.ID) {
	var best []amendment
	for _, a := range f.amend {
		switch {
		case len(best) == 0 || a.yes > best[0].yes:
			best = []amendment{a}
		case a.yes == best[0].yes && a.id != best[0].id:
			best = append(best, a)
		case a.yes == best[0].yes && a.by.Compare(best[0].by) < 0:
			best[0].by = a.by
		}
	}
	if len(best) != 1 {
		return f.Charter, f.CharterID
	}
	f.Roll = f.Roll.Under(best[0].to, best[0].by)
	return best[0].to, best[0].id
}
