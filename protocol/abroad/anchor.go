package abroad

import (
	"errors"
	"fmt"
	"slices"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/certificate"
	"github.com/metastate-p2p/metastate/protocol/dagcbor"
)

// An Anchor names a checkpoint of another metastate and who signs the next.
type Anchor struct {
	Metastate protocol.ID         `cbor:"m"`
	Height    uint64              `cbor:"h"`
	ID        protocol.ID         `cbor:"i"`          // of the value
	Clerks    []certificate.Clerk `cbor:"k"`          // that the value names, by rising persona
	Era       protocol.ID         `cbor:"e,omitzero"` // of the value
}

// AnchorOf is the anchor at a value.
func AnchorOf(value []byte) (Anchor, error) {
	v, err := certificate.ParseValue(value)
	if err != nil {
		return Anchor{}, fmt.Errorf("abroad: anchoring: %w", err)
	}
	return Anchor{Metastate: v.Metastate, Height: v.Height, ID: protocol.Sum(value), Clerks: v.Clerks, Era: v.Era()}, nil
}

// Validate refuses an anchor that names nothing, or clerks that no value can.
func (a Anchor) Validate() error {
	if a.Metastate.IsZero() || a.ID.IsZero() || a.Height == 0 || a.Height > protocol.MaxHeight {
		return errors.New("abroad: an anchor names a checkpoint of a metastate")
	}
	for i, c := range a.Clerks {
		if c.Persona.IsZero() || i > 0 && a.Clerks[i-1].Persona.Compare(c.Persona) >= 0 {
			return errors.New("abroad: the clerks of an anchor are not sorted and unique")
		}
	}
	if err := certificate.CheckKeys(a.Clerks); err != nil {
		return fmt.Errorf("abroad: %w", err)
	}
	return nil
}

// A Known is the latest that is known of another metastate. It is immutable.
type Known struct {
	Height uint64              `cbor:"h"`
	ID     protocol.ID         `cbor:"i"`
	Clerks []certificate.Clerk `cbor:"k"`
	Era    protocol.ID         `cbor:"e,omitzero"`
}

// AppendLeaf encodes what is known for the state root (SPEC §6.3).
func (k *Known) AppendLeaf(b []byte) []byte { return append(b, dagcbor.Encode(k)...) }

// Holds checks a certificate of a metastate against what is known of it, and
// returns the value. It holds if it is of the checkpoint known, or of a later one
// and signed by a quorum of the clerks known. One under a recall shows nothing
// to who does not know the roll there.
func (k *Known) Holds(metastate protocol.ID, encoded []byte) (certificate.Value, error) {
	c, err := certificate.ParseCertificate(encoded)
	if err != nil {
		return certificate.Value{}, fmt.Errorf("abroad: %w", err)
	}
	v, err := certificate.ParseValue(c.Value)
	if err != nil {
		return v, fmt.Errorf("abroad: %w", err)
	}
	if v.Metastate != metastate {
		return v, errors.New("abroad: a checkpoint of another metastate")
	}
	if c.ID() == k.ID { // whoever signed it: the id is what is trusted
		return v, nil
	}
	if v.Height <= k.Height {
		return v, fmt.Errorf("abroad: a checkpoint of height %d, and that of %d is known", v.Height, k.Height)
	}
	if !v.Under().IsZero() {
		return v, errors.New("abroad: a checkpoint under a recall")
	}
	if _, err := c.Verify(metastate, certificate.Signers{Era: k.Era, Clerks: k.Clerks}); err != nil {
		return v, fmt.Errorf("abroad: %w", err)
	}
	return v, nil
}

// moves reports whether a value that holds is news of who signs.
func (k *Known) moves(v certificate.Value) bool {
	return !slices.Equal(v.Clerks, k.Clerks)
}
