package abroad

import (
	"fmt"
	"iter"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/dagcbor"
	"github.com/metastate-p2p/metastate/protocol/merkle"
	"github.com/metastate-p2p/metastate/protocol/roll"
)

// A State is what is known of other metastates, and who came from the parent. It
// is immutable; the zero State is that of a metastate that knows no other.
type State struct {
	here   protocol.ID
	parent protocol.ID // zero: this is nobody's fork
	from   uint64      // the parent's height that this was founded from
	known  merkle.Map[*Known]
	claims merkle.Map[Claim] // by persona in the parent
	pacts  merkle.Map[*Pact]
}

// A Claim is whom somebody of the parent is here.
type Claim struct {
	Persona protocol.ID `cbor:"p"`           // here
	Share   bool        `cbor:"s,omitempty"` // has a share in the split
}

// AppendLeaf encodes the claim for the state root (SPEC §6.3).
func (c Claim) AppendLeaf(b []byte) []byte { return append(b, dagcbor.Encode(c)...) }

// Begin is what a genesis knows: its parent, if it has one.
func Begin(here protocol.ID, parent *Anchor) (s State) {
	s.here = here
	if parent == nil {
		return s
	}
	s.parent, s.from = parent.Metastate, parent.Height
	return s.know(*parent)
}

func (s State) know(a Anchor) State {
	s.known = s.known.Put(a.Metastate, &Known{Height: a.Height, ID: a.ID, Clerks: a.Clerks, Era: a.Era})
	return s
}

// Parent is the metastate that this one was founded from and the height of the
// checkpoint there; ok is false if it is nobody's fork.
func (s State) Parent() (metastate protocol.ID, height uint64, ok bool) {
	return s.parent, s.from, !s.parent.IsZero()
}

// Known is what is known of another metastate, nil if nothing is.
func (s State) Known(metastate protocol.ID) *Known {
	k, _ := s.known.Get(metastate)
	return k
}

// Claimed is whom a persona of the parent is here, if they claimed it.
func (s State) Claimed(persona protocol.ID) (Claim, bool) { return s.claims.Get(persona) }

// A Share is one who moved from a parent to its fork.
type Share struct {
	From  protocol.ID // persona in the parent
	To    protocol.ID // persona in the fork
	Share bool        // was a member at the checkpoint that the fork was founded from
}

// Split lists who came from the parent, by rising persona there.
func (s State) Split() (list []Share) {
	for from, c := range s.claims.All() {
		list = append(list, Share{From: from, To: c.Persona, Share: c.Share})
	}
	return list
}

// Moved lists who left for a fork that was founded from the checkpoint of a
// height, by rising persona, in the parent.
func Moved(parent roll.State, fork protocol.ID, height uint64) (list []Share) {
	for m := range parent.Members() {
		if to := m.Moved; to != nil && to.Metastate == fork && to.Height == height {
			list = append(list, Share{From: m.Persona, To: to.Persona, Share: to.Share})
		}
	}
	return list
}

// Roots are the digests for the state root (SPEC §6.3).
type Roots struct {
	Known  [32]byte // section abroad
	Claims [32]byte
	Pacts  [32]byte
}

// Roots computes the digests.
func (s State) Roots() Roots {
	return Roots{Known: s.known.Root(), Claims: s.claims.Root(), Pacts: s.pacts.Root()}
}

// Trees are the maps that the state root covers.
func (s State) Trees() (known, claims, pacts merkle.Tree) { return s.known, s.claims, s.pacts }

// Leaves are the encoded entries of each map by rising key.
type Leaves struct {
	Known, Claims, Pacts iter.Seq2[[32]byte, []byte]
}

// Restore makes the state of its leaves; s is what the genesis says. The caller
// compares [State.Roots] with digests that it trusts.
func (s State) Restore(l Leaves) (State, error) {
	var err error
	s.known, err = merkle.Decode(l.Known, func(of [32]byte, leaf []byte) (*Known, error) {
		k := new(Known)
		if err := dagcbor.Unmarshal(leaf, k); err != nil {
			return nil, err
		}
		return k, Anchor{Metastate: of, Height: k.Height, ID: k.ID, Clerks: k.Clerks, Era: k.Era}.Validate()
	})
	if err != nil {
		return s, fmt.Errorf("abroad: restoring what is known: %w", err)
	}
	s.claims, err = merkle.Decode(l.Claims, func(_ [32]byte, leaf []byte) (c Claim, err error) {
		return c, dagcbor.Unmarshal(leaf, &c)
	})
	if err != nil {
		return s, fmt.Errorf("abroad: restoring claims: %w", err)
	}
	s.pacts, err = merkle.Decode(l.Pacts, func(_ [32]byte, leaf []byte) (*Pact, error) {
		p := new(Pact)
		return p, dagcbor.Unmarshal(leaf, p)
	})
	if err != nil {
		return s, fmt.Errorf("abroad: restoring pacts: %w", err)
	}
	return s, nil
}
