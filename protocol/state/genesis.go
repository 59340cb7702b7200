package state

import (
	"fmt"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/abroad"
	"github.com/metastate-p2p/metastate/protocol/charter"
	"github.com/metastate-p2p/metastate/protocol/decision"
)

// MaxName is the longest name of a metastate, in bytes.
const MaxName = 100

// GenesisBody founds a metastate. The record is signed by one fresh key for
// each founder; each signs its founder's inception and the first checkpoint,
// and is then erased (SPEC §5.1).
type GenesisBody struct {
	Name    string          `cbor:"name"`
	Charter charter.Charter `cbor:"charter"`
	Nonce   identity.Nonce  `cbor:"nonce"`
	// Parent is the checkpoint of another metastate that this one was founded
	// from, nil if it is nobody's fork.
	Parent *abroad.Anchor `cbor:"parent,omitempty"`
}

// Validate refuses a body that founds nothing.
func (b GenesisBody) Validate() error {
	if err := decision.CheckLine("metastate's name", b.Name, MaxName); err != nil {
		return fmt.Errorf("state: %w", err)
	}
	if b.Parent != nil {
		if err := b.Parent.Validate(); err != nil {
			return fmt.Errorf("state: the parent: %w", err)
		}
	}
	return b.Charter.Validate()
}

// foundingKeys are the keys that signed a genesis, in the record's order.
func foundingKeys(genesis *protocol.Record) []identity.PublicKey {
	h := genesis.Header()
	return append([]identity.PublicKey{h.Key}, h.Cosigners...)
}
