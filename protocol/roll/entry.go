package roll

import (
	"errors"
	"fmt"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/dagcbor"
)

// ParseMember reads an entry of the roll as proofs carry it (SPEC §6.3).
func ParseMember(persona protocol.ID, leaf []byte) (*Member, error) {
	var l memberLeaf
	if err := dagcbor.Unmarshal(leaf, &l); err != nil {
		return nil, fmt.Errorf("roll: reading an entry: %w", err)
	}
	if len(l.Spans) == 0 {
		return nil, errors.New("roll: reading an entry: it has no standing")
	}
	m := &Member{
		Persona: persona, Name: l.Name, Founder: l.Founder, Keys: l.Keys, Spans: l.Spans, Until: l.Until, Offices: l.Offices,
		Devices: l.Devices, Invite: l.Invite, Approved: l.Approved, Because: l.Because, Moved: l.Moved,
	}
	if l.Quota != nil {
		m.Quota = *l.Quota
	}
	return m, nil
}
