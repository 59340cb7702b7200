package node

import (
	"errors"
	"fmt"
	"time"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/charter"
	"github.com/metastate-p2p/metastate/protocol/decision"
)

// effect gives a proposal the act that it asks for, and the class and method
// that go with it where the request names none.
func (c *Community) effect(s *Snapshot, body *decision.ProposeBody, req *ActRequest) error {
	if req == nil {
		return nil
	}
	bad := func(format string, args ...any) error {
		return &Error{Code: "usage", Exit: ExitUsage, Message: fmt.Sprintf(format, args...), Hint: "metastate propose open --help"}
	}
	var class string
	method := "yes-no"
	act := &decision.Act{Kind: req.Kind}
	switch req.Kind {
	case decision.Expel:
		act.Persona, class = req.Persona, charter.ClassExpulsion
	case decision.Admit:
		act.Persona = req.Persona
		if class = decision.AdmitClass(s.Final.Roll().Member(req.Persona)); body.Class == charter.ClassExpulsion {
			class = body.Class
		}
	case decision.Elect:
		act.Office, class, method = req.Office, charter.ClassElection, "plurality"
		if _, err := s.office(req.Office); err != nil {
			return err
		}
		if err := c.standing(body); err != nil {
			return err
		}
	case decision.Amend:
		next, err := charter.ParseYAML([]byte(req.Charter))
		if err != nil {
			return &Error{Code: "bad-charter", Exit: ExitUsage, Message: err.Error(), Hint: "metastate charter check FILE", Err: err}
		}
		now := s.Final.Charter()
		if next.ID() == now.ID() {
			return bad("the new charter is the one in force")
		}
		act.Base, act.Charter, class = now.ID(), &next, charter.AmendedBy(*now, next)
	case decision.Pact, decision.Part:
		class = charter.ClassCharter
		if err := c.pactEffect(s, act, body, req); err != nil {
			return err
		}
	default:
		return bad("no decision can do %q", req.Kind)
	}
	if body.Class != "" && body.Class != class && (class != charter.ClassCharter || body.Class != charter.ClassEntrenched) {
		return bad("this is decided by the class %s", class)
	}
	if body.Class == "" {
		body.Class = class
	}
	if body.Method == "" {
		body.Method = method
	}
	body.Act = act
	if err := body.Validate(); err != nil {
		return bad("%s", plain(err))
	}
	return nil
}

// standing puts ids for the names of those who stand in an election: the options,
// or the candidates of party lists.
func (c *Community) standing(body *decision.ProposeBody) error {
	var refs []*string
	for i := range body.Options {
		refs = append(refs, &body.Options[i])
	}
	if len(body.Params.Lists) > 0 {
		refs = nil
		for _, list := range body.Params.Lists {
			for i := range list {
				refs = append(refs, &list[i].Name)
			}
		}
	}
	for _, ref := range refs {
		p, err := c.Member(*ref)
		if err != nil {
			return err
		}
		*ref = p.String()
	}
	return nil
}

// plain is the innermost message of an error.
func plain(err error) string {
	for errors.Unwrap(err) != nil {
		err = errors.Unwrap(err)
	}
	return err.Error()
}

// An ActRequest is what a decision does when it is in force.
type ActRequest struct {
	Kind    string      `json:"kind"` // expel, admit, elect, amend, pact or part
	Persona protocol.ID `json:"persona,omitzero"`
	Office  string      `json:"office,omitempty"`  // to elect for; options are personas
	Charter string      `json:"charter,omitempty"` // YAML
	With    protocol.ID `json:"with,omitzero"`     // metastate on this node, of pact; the proposal's text is the terms
	Ends    time.Time   `json:"ends,omitzero"`     // of pact
	Pact    string      `json:"pact,omitempty"`    // of part: a pact's id or the beginning of one
}
