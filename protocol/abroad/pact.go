package abroad

import (
	"errors"
	"iter"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/dagcbor"
	"github.com/metastate-p2p/metastate/protocol/merkle"
	"github.com/metastate-p2p/metastate/protocol/roll"
)

// Standings of a pact.
const (
	Offered = "offered"  // here; the other has not been shown to have it too
	InForce = "in-force" // both have it
	Ended   = "ended"    // by either, for good
)

// Rules about pacts (SPEC §5.11).
const (
	RulePact = protocol.Rule("pact/in-force")
	RuleEnd  = protocol.Rule("pact/ended")
)

// An Offer is what a decision for a pact says. The terms are the text of its
// proposal.
type Offer struct {
	With  Anchor      `cbor:"with"`
	Terms protocol.ID `cbor:"terms"`          // SHA-256 of the text
	Ends  int64       `cbor:"ends,omitempty"` // checkpoint time, 0: not by itself
}

// Validate refuses an offer to nobody, or of nothing.
func (o Offer) Validate() error {
	if o.Terms.IsZero() || o.Ends < 0 || o.Ends > protocol.MaxTime {
		return errors.New("abroad: a pact has terms, and an end that a checkpoint can carry")
	}
	return o.With.Validate()
}

// PactID is the id that both sides give a pact with the same terms.
func PactID(a, b, terms protocol.ID, ends int64) protocol.ID {
	if a.Compare(b) > 0 {
		a, b = b, a
	}
	return protocol.Sum(append([]byte("metastate/pact/v1\x00"), dagcbor.Encode(struct {
		Sides []protocol.ID `cbor:"sides"` // rising
		Terms protocol.ID   `cbor:"terms"`
		Ends  int64         `cbor:"ends,omitempty"`
	}{[]protocol.ID{a, b}, terms, ends})...))
}

// A Pact is what two metastates agreed on, as one of them has it. It is
// immutable.
type Pact struct {
	With     protocol.ID `cbor:"with"`
	Terms    protocol.ID `cbor:"terms"` // SHA-256 of the text
	Ends     int64       `cbor:"ends,omitempty"`
	Decision protocol.ID `cbor:"decision"` // that offered it here: its text is the terms
	Standing string      `cbor:"standing"`
	Since    int64       `cbor:"since"` // checkpoint time of the standing
}

// AppendLeaf encodes the pact for the state root (SPEC §6.3).
func (p *Pact) AppendLeaf(b []byte) []byte { return append(b, dagcbor.Encode(p)...) }

// Binds reports whether the pact is in force at a checkpoint's time.
func (p *Pact) Binds(asOf int64) bool { return p.Standing == InForce && (p.Ends == 0 || asOf < p.Ends) }

// Pact is the pact of an id, nil if there is none.
func (s State) Pact(id protocol.ID) *Pact {
	p, _ := s.pacts.Get(id)
	return p
}

// Pacts are all pacts by rising id.
func (s State) Pacts() iter.Seq2[protocol.ID, *Pact] {
	return func(yield func(protocol.ID, *Pact) bool) {
		for id, p := range s.pacts.All() {
			if !yield(id, p) {
				return
			}
		}
	}
}

// ProvePact proves a pact's entry, or that there is none, against [Roots].Pacts.
func (s State) ProvePact(id protocol.ID) merkle.Proof { return s.pacts.Prove(id) }

// Offer carries out a decision for a pact. Its anchor counts if it is of a higher
// checkpoint than is known: so members can follow the other over a change of
// clerks that no certificate shows. A pact that there is stays as it is.
func (s State) Offer(o Offer, decision protocol.ID, at roll.Step) State {
	if o.With.Metastate == s.here {
		return s
	}
	if k := s.Known(o.With.Metastate); k == nil || k.Height < o.With.Height {
		s = s.know(o.With)
	}
	id := PactID(s.here, o.With.Metastate, o.Terms, o.Ends)
	if s.Pact(id) == nil {
		s.pacts = s.pacts.Put(id, &Pact{
			With: o.With.Metastate, Terms: o.Terms, Ends: o.Ends, Decision: decision, Standing: Offered, Since: at.AsOf,
		})
	}
	return s
}

// End carries out a decision to end a pact.
func (s State) End(id protocol.ID, at roll.Step) State {
	if p := s.Pact(id); p != nil && p.Standing != Ended {
		return s.turn(id, Ended, at)
	}
	return s
}

func (s State) turn(id protocol.ID, standing string, at roll.Step) State {
	p := *s.Pact(id)
	p.Standing, p.Since = standing, at.AsOf
	s.pacts = s.pacts.Put(id, &p)
	return s
}

// countersigns takes in what the other sides are shown to have. An end goes
// before all else, and is for good on both sides.
func (f *fold) countersigns() {
	shown := map[protocol.ID]string{}
	for _, r := range f.Records {
		if r.Kind() != protocol.Countersign {
			continue
		}
		id, standing, v := f.countersign(r)
		if f.verdicts = append(f.verdicts, v); v.Stands && shown[id] != Ended {
			shown[id] = standing
		}
	}
	for id, standing := range shown {
		f.s = f.s.turn(id, standing, f.BaseRoll.Step)
	}
}

// countersign judges one proof of what the other side has.
func (f *fold) countersign(r *protocol.Record) (id protocol.ID, standing string, v protocol.Verdict) {
	body, err := protocol.Body[CountersignBody](r)
	p := f.Base.Pact(body.Pact)
	switch {
	case err != nil || p == nil:
		return id, "", protocol.Void(r, RuleMalformed, "It is about no pact that this metastate decided.")
	case !f.BaseRoll.Authorised(r):
		return id, "", protocol.Void(r, RulePower, "Only members bring news of other metastates.")
	}
	value, err := f.holds(p.With, body.Certificate)
	if err != nil || body.Proof.Verify(value.StateRoot, "pacts", body.Pact) != nil {
		return id, "", protocol.Void(r, RuleProof, "It does not show what the other metastate has.")
	}
	var there Pact
	if err := dagcbor.Unmarshal(body.Proof.Entry, &there); err != nil {
		return id, "", protocol.Void(r, RuleProof, "The other metastate has no such pact.")
	}
	switch {
	case there.Standing == Ended && p.Standing != Ended:
		return body.Pact, Ended, protocol.Stand(r, RuleEnd, "The other metastate ended the pact.")
	case p.Standing == Offered:
		return body.Pact, InForce, protocol.Stand(r, RulePact, "Both have decided it.")
	}
	return id, "", protocol.Void(r, RuleProof, "It changes nothing here.")
}
