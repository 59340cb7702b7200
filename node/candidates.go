package node

import (
	"fmt"
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
	return names
}

// inNames puts names for ids in words, but those that two share.
func inNames(text string, names map[string]string) string {
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

// candidate is the choice of a candidate by name, or by the beginning of an id.
func (c *Community) candidate(method counting.Method, options []string, names map[string]string, choice string) (counting.Choice, error) {
	if id, err := c.Member(choice); err == nil {
		if normal, err := method.Normal(options, id.String()); err == nil {
			return normal, nil
		}
	}
	called := slices.Clone(options)
	for i, o := range called {
		if name := names[o]; name != "" {
			called[i] = name
		}
	}
	return "", fmt.Errorf("write one of: %s", strings.Join(called, ", "))
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
