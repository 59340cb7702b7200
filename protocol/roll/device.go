package roll

import (
	"slices"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/dagcbor"
)

// A Device is a key that signs daily records for a persona. It is immutable.
type Device struct {
	Persona protocol.ID `cbor:"persona"`
	Grant   protocol.ID `cbor:"grant"`
	Height  uint64      `cbor:"height"` // of the checkpoint that covers the grant
	Expires int64       `cbor:"expires"`
	Chain   Chain       `cbor:"chain"` // of its control records
	marks   *Marks      // nil for most
}

// Marks are what sets few devices apart. They are immutable.
type Marks struct {
	Forked bool `cbor:"forked,omitempty"` // signed two records at one seq
	// Revoked is the checkpoint that covers the device's revocation, 0 if none;
	// Spared are bulk records of the device that stand all the same.
	Revoked uint64        `cbor:"revoked,omitempty"`
	Spared  []protocol.ID `cbor:"spared,omitempty"`
	Signs   Signing       `cbor:"signs,omitzero"`
}

// Marks are what sets the device apart, the zero Marks if nothing does.
func (d *Device) Marks() (m Marks) {
	if d.marks != nil {
		m = *d.marks
	}
	return m
}

// mark sets a device that is being made apart.
func (d *Device) mark(m Marks) {
	d.marks = nil
	if m.Forked || m.Revoked != 0 || len(m.Spared) > 0 || m.Signs != (Signing{}) {
		d.marks = &m
	}
}

// Signing is when a device signed checkpoints for a clerk: from the first height
// to the last, with what lies between.
type Signing struct {
	From  uint64 `cbor:"f,omitempty"` // 0 if it never did
	Until uint64 `cbor:"u,omitempty"` // first height after the last; 0 while it signs
	// Judged is the height up to which, itself left out, it was found to have
	// signed twice; what it did before is judged with it.
	Judged uint64 `cbor:"j,omitempty"`
}

// AppendLeaf encodes the entry for the state root.
func (d *Device) AppendLeaf(b []byte) []byte {
	return append(b, dagcbor.Encode(deviceLeaf{*d, d.Marks()})...)
}

type deviceLeaf struct {
	Device
	Marks
}

// device is the entry that a leaf encodes.
func (l deviceLeaf) device() *Device {
	d := l.Device // alone, so that the leaf does not stay in memory with it
	d.mark(l.Marks)
	return &d
}

// Live reports whether the device may sign at checkpoint time asOf.
func (d *Device) Live(asOf int64) bool {
	return d != nil && !d.Marks().Forked && d.Marks().Revoked == 0 && asOf < d.Expires
}

// Speaks reports whether a bulk record that the device signed has its voice:
// the device is live, or was revoked by one who let the record stand.
func (d *Device) Speaks(asOf int64, record protocol.ID) bool {
	if d == nil {
		return false
	}
	if m := d.Marks(); m.Revoked != 0 {
		return !m.Forked && slices.Contains(m.Spared, record)
	}
	return d.Live(asOf)
}

// An Invite is an open door with a limited number of uses. It is immutable.
type Invite struct {
	By      protocol.ID        `cbor:"by"`
	Key     identity.PublicKey `cbor:"key"`
	Uses    uint64             `cbor:"uses"` // at most, in all
	Used    uint64             `cbor:"used"`
	Expires int64              `cbor:"expires"`
	Revoked bool               `cbor:"revoked,omitempty"`
}

// AppendLeaf encodes the entry for the state root.
func (i *Invite) AppendLeaf(b []byte) []byte { return append(b, dagcbor.Encode(i)...) }
