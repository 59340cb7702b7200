package node

import (
	"context"
	"time"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/abroad"
	"github.com/metastate-p2p/metastate/protocol/decision"
)

// pactEffect fills in an act that makes or ends a pact. The other side is one
// that this node takes part in, so that it knows its latest checkpoint.
func (c *Community) pactEffect(s *Snapshot, act *decision.Act, body *decision.ProposeBody, req *ActRequest) error {
	if req.Kind == decision.Part {
		id, err := find("pact", req.Pact, "metastate pact list", func(yield func(protocol.ID) bool) {
			for id := range s.Final.Abroad().Pacts() {
				if !yield(id) {
					return
				}
			}
		})
		act.Base = id
		return err
	}
	if body.Text == "" {
		return &Error{Code: "usage", Exit: ExitUsage, Message: "a pact has terms: they are the proposal's text", Hint: "give --text, the same in both metastates"}
	}
	there := c.net.find(req.With)
	if there == nil || there == c || there.book() == nil {
		return refuse("a pact is proposed by somebody who is a member of both sides, and it takes two", "metastate list")
	}
	l := there.book()
	anchor, err := l.anchor(l.currentTip().Ref().Height)
	if err != nil {
		return err
	}
	act.Pact = &abroad.Offer{With: anchor, Terms: protocol.Sum([]byte(body.Text))}
	if !req.Ends.IsZero() {
		act.Pact.Ends = req.Ends.Unix()
	}
	return nil
}

// Pacts are all pacts of the metastate, as of the latest checkpoint.
func (c *Community) Pacts(context.Context) (PactList, error) {
	s := c.Snapshot()
	if s == nil {
		return PactList{}, errNotYet()
	}
	out := PactList{Pacts: []Pact{}}
	for id, p := range s.Final.Abroad().Pacts() {
		x := Pact{
			Pact: id, With: p.With, Standing: p.Standing, Since: time.Unix(p.Since, 0).UTC(),
			Binds: p.Binds(s.Final.AsOf()), Decision: p.Decision, Terms: c.textOf(p.Decision),
		}
		if p.Ends != 0 {
			t := time.Unix(p.Ends, 0).UTC()
			x.Ends = &t
		}
		out.Pacts = append(out.Pacts, x)
	}
	return out, nil
}

// textOf is the text of a proposal, empty if it is not held.
func (c *Community) textOf(proposal protocol.ID) string {
	inner, err := c.stored(proposal)
	if err != nil {
		return ""
	}
	r, err := protocol.Parse(inner)
	if err != nil {
		return ""
	}
	body, err := protocol.Body[decision.ProposeBody](r)
	if err != nil {
		return ""
	}
	return body.Text
}
