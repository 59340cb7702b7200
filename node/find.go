package node

import (
	"fmt"
	"iter"
	"strings"

	"github.com/metastate-p2p/metastate/protocol"
)

// find resolves an id or a unique prefix of one among ids.
func find(what, ref, hint string, ids iter.Seq[protocol.ID]) (protocol.ID, error) {
	var found []protocol.ID
	for id := range ids {
		text := id.String()
		if text == ref {
			return id, nil
		}
		if len(ref) >= 4 && strings.HasPrefix(text, ref) {
			found = append(found, id)
		}
	}
	switch len(found) {
	case 0:
		return protocol.ID{}, &Error{Code: "not-found", Exit: ExitNotFound, Message: fmt.Sprintf("no %s %q", what, ref), Hint: hint}
	case 1:
		return found[0], nil
	}
	return protocol.ID{}, &Error{Code: "ambiguous", Exit: ExitUsage, Message: fmt.Sprintf("%q begins the id of %d %ss", ref, len(found), what), Hint: "give more letters"}
}

// proposal resolves a reference to a proposal.
func (s *Snapshot) proposal(ref string) (protocol.ID, error) {
	return find("proposal", ref, "metastate propose list", func(yield func(protocol.ID) bool) {
		for p := range s.View.Decisions().Polls() {
			if !yield(p.Proposal) {
				return
			}
		}
	})
}

// Motion resolves an act that waits for endorsements, by id or unique beginning.
func (c *Community) Motion(ref string) (protocol.ID, error) {
	s := c.Snapshot()
	if s == nil {
		return protocol.ID{}, errNotYet()
	}
	return find("act", ref, "metastate roll motions", func(yield func(protocol.ID) bool) {
		for id := range s.View.Roll().Motions() {
			if !yield(id) {
				return
			}
		}
	})
}

// Member resolves a persona by id, unique beginning of one, or unique name.
func (c *Community) Member(ref string) (protocol.ID, error) {
	s := c.Snapshot()
	if s == nil {
		return protocol.ID{}, errNotYet()
	}
	var named []protocol.ID
	for m := range s.View.Roll().Members() {
		if m.Name != "" && m.Name == ref {
			named = append(named, m.Persona)
		}
	}
	if len(named) == 1 {
		return named[0], nil
	}
	return find("persona", ref, "metastate roll list --provisional", func(yield func(protocol.ID) bool) {
		for m := range s.View.Roll().Members() {
			if !yield(m.Persona) {
				return
			}
		}
	})
}
