package committee

import (
	"fmt"
	"slices"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/dagcbor"
	"github.com/metastate-p2p/metastate/protocol/decision/secret/keygen"
)

// A Stage is what a committee does next.
type Stage string

// Stages, in order. A committee that fails is of no use any more.
const (
	Announce Stage = "announce" // each gives a key of their own
	Commit   Stage = "commit"   // each fixes a deal
	Deal     Stage = "deal"     // and shows it
	Confirm  Stage = "confirm"  // each has good shares, or complains
	Ready    Stage = "ready"    // the key is made
	Failed   Stage = "failed"   // too few deals were good
)

// Complain is what a trustee says, besides [Confirm], in that stage.
const Complain Stage = "complain"

// A Committee is how far a committee is. It is immutable.
type Committee struct {
	ID       protocol.ID
	Trustees []Trustee // by number from 1, of rising persona
	Patience int64     // how long a stage waits once enough have spoken, seconds
	Stage    Stage
	Until    int64 // when the stage ends whoever is missing; 0 while too few have spoken

	// What follows from the messages; made once for a stage.

	roster *keygen.Roster
	deals  []*keygen.Deal // by number, nil of who has none that is good so far
	keys   *keygen.Keys
}

// A Trustee is one of a committee and what they said.
type Trustee struct {
	Persona      protocol.ID        `cbor:"p"`
	Device       identity.PublicKey `cbor:"d,omitzero"` // that announced, and alone speaks from then on
	Announcement []byte             `cbor:"a,omitempty"`
	Commitment   []byte             `cbor:"c,omitempty"`
	Deal         []byte             `cbor:"s,omitempty"`
	Confirmed    bool               `cbor:"o,omitempty"`
	Guilty       protocol.ID        `cbor:"g,omitzero"`  // the complaint that convicted them, as dealer or as accuser
	Bad          bool               `cbor:"b,omitempty"` // their deal does not count
}

// New is the committee of some personas, of whom there are 4, 7, 10, … up to 31, in
// rising order.
func New(id protocol.ID, personas []protocol.ID, patience int64) (*Committee, error) {
	faults := (len(personas) - 1) / 3
	if _, err := keygen.NewCommittee(id, faults); err != nil || 3*faults+1 != len(personas) {
		return nil, fmt.Errorf("committee: a committee has 4, 7, 10, … up to %d trustees, not %d", 3*keygen.MaxFaults+1, len(personas))
	}
	c := &Committee{ID: id, Patience: patience, Stage: Announce, Trustees: make([]Trustee, len(personas))}
	for i, p := range personas {
		c.Trustees[i].Persona = p
	}
	return c, nil
}

// Kind is the committee as package keygen has it.
func (c *Committee) Kind() keygen.Committee {
	k, err := keygen.NewCommittee(c.ID, (len(c.Trustees)-1)/3)
	if err != nil {
		panic("committee: " + err.Error()) // New refused it
	}
	return k
}

// Number is the number of a persona, 0 if it is none of the trustees.
func (c *Committee) Number(persona protocol.ID) int {
	return slices.IndexFunc(c.Trustees, func(t Trustee) bool { return t.Persona == persona }) + 1
}

// Roster is there from the stage Commit on.
func (c *Committee) Roster() *keygen.Roster { return c.roster }

// DealOf is a trustee's deal, nil if they have none that is good so far.
func (c *Committee) DealOf(number int) *keygen.Deal {
	if c.deals == nil {
		return nil
	}
	return c.deals[number-1]
}

// Keys is there once the committee is ready.
func (c *Committee) Keys() *keygen.Keys { return c.keys }

// leaf is a committee for the state root (SPEC §6.3).
type leaf struct {
	Trustees []Trustee `cbor:"trustees"`
	Patience int64     `cbor:"patience"`
	Stage    Stage     `cbor:"stage"`
	Until    int64     `cbor:"until,omitempty"`
}

// AppendLeaf encodes the committee for the state root.
func (c *Committee) AppendLeaf(b []byte) []byte {
	return append(b, dagcbor.Encode(leaf{c.Trustees, c.Patience, c.Stage, c.Until})...)
}

// Restore makes a committee of its leaf.
func Restore(id protocol.ID, b []byte) (*Committee, error) {
	var l leaf
	if err := dagcbor.Unmarshal(b, &l); err != nil {
		return nil, fmt.Errorf("committee: restoring: %w", err)
	}
	personas := make([]protocol.ID, len(l.Trustees))
	for i, t := range l.Trustees {
		personas[i] = t.Persona
	}
	c, err := New(id, personas, l.Patience)
	if err != nil {
		return nil, err
	}
	c.Trustees, c.Stage, c.Until = l.Trustees, l.Stage, l.Until
	if err := c.derive(); err != nil {
		return nil, fmt.Errorf("committee: restoring: %w", err)
	}
	return c, nil
}

// derive makes what follows from the messages of the stages that are over.
func (c *Committee) derive() (err error) {
	if c.Stage == Announce || c.Stage == Failed {
		return nil
	}
	all := make([]keygen.Announcement, len(c.Trustees))
	for i, t := range c.Trustees {
		if t.Announcement == nil {
			continue
		}
		if all[i], err = keygen.ParseAnnouncement(t.Announcement); err != nil {
			return err
		}
	}
	if c.roster, err = keygen.NewRoster(c.Kind(), all); err != nil {
		return err
	}
	c.deals = make([]*keygen.Deal, len(c.Trustees))
	for i, t := range c.Trustees {
		if t.Deal == nil || t.Bad {
			continue
		}
		if c.deals[i], err = c.readDeal(i+1, t.Deal); err != nil {
			return err
		}
	}
	if c.Stage == Ready {
		c.keys, err = keygen.NewKeys(c.roster, c.good())
	}
	return err
}

func (c *Committee) readDeal(number int, b []byte) (*keygen.Deal, error) {
	committed, err := keygen.ParseCommitment(c.Trustees[number-1].Commitment)
	if err != nil {
		return nil, err
	}
	return keygen.ParseDeal(c.roster, number, committed, b)
}

// good are the deals that nobody convicted.
func (c *Committee) good() (out []*keygen.Deal) {
	for _, d := range c.deals {
		if d != nil {
			out = append(out, d)
		}
	}
	return out
}
