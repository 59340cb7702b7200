package main

import (
	"errors"
	"fmt"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/decision"
	"github.com/metastate-p2p/metastate/protocol/decision/committee"
	"github.com/metastate-p2p/metastate/protocol/decision/secret/keygen"
)

// A trustee is a person with a part of the key. All of it comes from one seed.
type trustee struct {
	*person
	number int // in the committee
	seed   [32]byte
	lies   bool
	away   bool
	// acked is the one sealed set that the trustee acknowledged: a real one has it on
	// disk before saying so, and never acknowledges another (SPEC §8.6 rule 7).
	acked [32]byte
}

func (t *trustee) name() string { return fmt.Sprintf("trustee %d", t.number) }

func (t *trustee) secrets(c *committee.Committee) (*keygen.Trustee, error) {
	return keygen.NewTrustee(c.Kind(), t.number, &t.seed)
}

// says is what the trustee says in the committee's stage. Who lies and complains
// does so of the first deal that is not their own.
func (t *trustee) says(c *committee.Committee, complains bool) (*protocol.Record, error) {
	own, err := t.secrets(c)
	if err != nil {
		return nil, err
	}
	body := decision.TrusteeBody{Committee: c.ID, Stage: c.Stage}
	switch c.Stage {
	case committee.Announce:
		body.Message = own.Announce().Bytes()
	case committee.Commit, committee.Deal:
		d, err := own.Deal(c.Roster())
		if err != nil {
			return nil, err
		}
		if body.Message = d.Bytes(); c.Stage == committee.Commit {
			body.Message = d.Commitment().Bytes()
		}
	case committee.Confirm:
		for _, other := range c.Trustees {
			n := c.Number(other.Persona)
			d := c.DealOf(n)
			if d == nil {
				continue
			}
			_, err := own.Receive(d)
			if err != nil || t.lies && complains && n != t.number {
				x, err := own.Complain(d)
				if err != nil {
					return nil, err
				}
				body.Stage, body.Message = committee.Complain, x.Bytes()
				break
			}
		}
	}
	return t.sign(protocol.Trustee, body)
}

// errOtherSet says that a trustee opens one set of ballots, and was shown another:
// the difference of two opened sums would tell what single ballots say.
var errOtherSet = errors.New("the trustee has acknowledged another set of ballots")

// acknowledges makes the trustee's one acknowledgement.
func (t *trustee) acknowledges(p *decision.Poll) (*protocol.Record, error) {
	set := p.Sealed().Set
	if t.acked != [32]byte{} && t.acked != set {
		return nil, errOtherSet
	}
	t.acked = set
	return t.sign(protocol.Open, decision.OpenBody{Proposal: p.Proposal, Set: set[:]})
}

// errTooEarly says that a trustee does not open a sum yet.
var errTooEarly = errors.New("too few trustees have acknowledged the closing")

// opens makes the trustee's share. Who lies hands in factors in another order, as
// if two lists had each other's votes.
func (t *trustee) opens(p *decision.Poll, c *committee.Committee) (*protocol.Record, error) {
	if len(p.Secret.Acks) < c.Kind().Q() || t.acked != p.Sealed().Set {
		return nil, errTooEarly
	}
	own, err := t.secrets(c)
	if err != nil {
		return nil, err
	}
	x, err := own.Share(c.Keys())
	if err != nil {
		return nil, err
	}
	seed := t.chance("opening", t.number)
	share, err := p.Secret.Election().Decrypt(x, p.Sealed(), &seed)
	if err != nil {
		return nil, err
	}
	if t.lies {
		const each = 96 // a factor and its proof
		first, second := share[:each], share[each:2*each]
		for i := range first {
			first[i], second[i] = second[i], first[i]
		}
	}
	return t.sign(protocol.Open, decision.OpenBody{Proposal: p.Proposal, Share: share})
}
