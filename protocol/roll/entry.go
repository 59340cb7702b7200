package roll

import (
	"errors"
	"fmt"

	"github.com/metastate-p2p/metastate/identity"
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
	return l.member(persona), nil
}

type memberLeaf struct {
	Name string   `cbor:"name,omitempty"`
	Keys keysLeaf `cbor:"keys"`
	Post
	Spans    []Span               `cbor:"spans"`
	Until    int64                `cbor:"until,omitempty"`
	Devices  []identity.PublicKey `cbor:"devices,omitempty"`
	Invite   protocol.ID          `cbor:"invite,omitzero"`
	Approved []protocol.ID        `cbor:"approved,omitempty"`
	Quota    *Quota               `cbor:"quota,omitempty"`
	Because  []protocol.Cause     `cbor:"because,omitempty"`
	Moved    *Moved               `cbor:"moved,omitempty"`
}

type keysLeaf struct {
	Keys
	Serves identity.PublicKey `cbor:"serves,omitzero"`
}

// AppendLeaf encodes the entry for the state root (SPEC §6.3).
func (m *Member) AppendLeaf(b []byte) []byte {
	p := m.post()
	return append(b, dagcbor.Encode(memberLeaf{
		Name: m.Name, Keys: keysLeaf{m.Keys, p.Serves}, Post: p, Spans: m.Spans, Until: m.Until,
		Devices: m.Devices, Invite: m.Invite, Approved: m.Approved, Quota: m.quota, Because: m.Because, Moved: m.Moved,
	})...)
}

// member is the entry that a leaf encodes.
func (l memberLeaf) member(persona protocol.ID) *Member {
	m := &Member{
		Persona: persona, Name: l.Name, Keys: l.Keys.Keys, Spans: l.Spans, Until: l.Until,
		Devices: l.Devices, Invite: l.Invite, Approved: l.Approved, Because: l.Because, Moved: l.Moved,
	}
	l.Post.Serves = l.Keys.Serves
	m.setPost(l.Post)
	if l.Quota != nil {
		m.use(*l.Quota)
	}
	return m
}
