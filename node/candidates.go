package node

import (
	"errors"
	"slices"
	"strings"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/decision"
	counting "github.com/metastate-p2p/metastate/protocol/decision/count"
)

// call adds what personas are called to names, by their ids as text.
func (s *Snapshot) call(names map[string]string, personas ...protocol.ID) {
	for _, p := range personas {
		if m := s.View.Roll().Member(p); m != nil && m.Name != "" {
			names[p.String()] = m.Name
		}
	}
}

// nameOf is what a persona is called, empty if it is called nothing.
func (s *Snapshot) nameOf(p protocol.ID) string {
	if m := s.View.Roll().Member(p); m != nil {
		return m.Name
	}
	return ""
}

// candidates are what the options of an election are called, nil of another vote.
func (s *Snapshot) candidates(p *decision.Poll) map[string]string {
	if p.Body.Act == nil || p.Body.Act.Kind != decision.Elect {
		return nil
	}
	names := map[string]string{}
	for _, o := range p.Options {
		if id, err := protocol.ParseID(o); err == nil {
			s.call(names, id)
		}
	}
	for _, list := range p.Body.Params.Lists {
		for _, x := range list {
			if id, err := protocol.ParseID(x.Name); err == nil {
				s.call(names, id)
			}
		}
	}
	return names
}

// InNames puts names for ids in words, but those that two share.
func InNames(text string, names map[string]string) string {
	times := map[string]int{}
	for _, name := range names {
		times[name]++
	}
	var pairs []string
	for id, name := range names {
		if times[name] == 1 {
			pairs = append(pairs, id, name)
		}
	}
	return strings.NewReplacer(pairs...).Replace(text) // at once: a name may read as an id
}

// factsInNames puts names for ids in what figures are called. Should two then be
// called the same, all keep their ids.
func factsInNames(facts, names map[string]string) map[string]string {
	out := make(map[string]string, len(facts))
	for name, value := range facts {
		out[InNames(name, names)] = InNames(value, names)
	}
	if len(out) < len(facts) {
		return facts
	}
	return out
}

// candidate is a choice of candidates that are called by their names, or of one by
// the beginning of an id.
func (c *Community) candidate(form counting.Form, options []string, names map[string]string, choice string) (counting.Choice, error) {
	called := slices.Clone(options)
	for i, o := range called {
		if name := names[o]; name != "" {
			called[i] = name
		}
	}
	if names, err := counting.Names(called, 1, ",>=:"); err == nil { // no two are called the same
		if marks, err := form.Parse(names, choice); err == nil {
			return form.Line(options, marks), nil
		}
	}
	if id, err := c.Member(choice); err == nil {
		if normal, err := counting.Normal(form, options, id.String()); err == nil {
			return normal, nil
		}
	}
	if _, err := form.Parse(called, choice); err != nil {
		return "", err
	}
	return "", errors.New("several candidates are called the same: write their ids")
}

// actWords says what a decision does when it is in force.
func actWords(a *decision.Act) string {
	if a == nil {
		return ""
	}
	switch a.Kind {
	case decision.Elect:
		return "elect " + a.Office
	case decision.Amend:
		return "amend the charter"
	case decision.Pact:
		return "a pact with " + a.Pact.With.Metastate.String()
	case decision.Part:
		return "end the pact " + a.Base.String()
	}
	return a.Kind + " " + a.Persona.String()
}
