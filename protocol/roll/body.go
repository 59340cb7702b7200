package roll

import (
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/protocol"
)

// Bounds on bodies.
const (
	MaxReason     = 1000 // bytes
	MaxAppointees = 13
	MaxDevices    = 8  // live devices of one persona
	MaxSpared     = 64 // bulk records that a revocation lets stand
)

// InviteBody creates an invite: whoever signs an inception with Key may be
// admitted, Uses times until Expires (unix seconds of checkpoint time).
type InviteBody struct {
	Key     identity.PublicKey `cbor:"key"`
	Uses    uint64             `cbor:"uses"`
	Expires int64              `cbor:"expires"`
}

// InviteRevokeBody ends an invite.
type InviteRevokeBody struct {
	Invite protocol.ID `cbor:"invite"`
}

// AdmitBody admits a persona: with the newcomer's inception and first grant
// carried in the record, under an invite or (policy open) without, or by name.
type AdmitBody struct {
	Persona protocol.ID `cbor:"persona"`
	Invite  protocol.ID `cbor:"invite,omitzero"`
}

// LeaveBody is empty, or says where to: leaving needs no reason and nobody's
// consent. A body that says nothing else does not hold anybody back.
type LeaveBody struct {
	To *Move `cbor:"to,omitempty"`
}

// A Place is how far a device's chain stands: the number of its records, and
// the last of them.
type Place struct {
	Device identity.PublicKey `cbor:"d"`
	Next   uint64             `cbor:"n"`
	Head   protocol.ID        `cbor:"h"`
}

// RestrictBody suspends a member or expels one. Cut says, for each device of
// the target, up to where its chain stands; of a device that it leaves out, up
// to what is final. An officer who suspends alone gives none: what is in the
// act's own past stands.
type RestrictBody struct {
	Persona protocol.ID `cbor:"persona"`
	Reason  string      `cbor:"reason"`
	Cut     []Place     `cbor:"cut,omitempty"`
}

// EndorseBody adds the author's name to an act that needs several.
type EndorseBody struct {
	Act protocol.ID `cbor:"act"`
}

// AppointBody gives an office to members.
type AppointBody struct {
	Office   string        `cbor:"office"`
	Personas []protocol.ID `cbor:"personas"`
}

// RecallBody takes an office from some who hold it and gives it to others, each
// named with the device that acts for them. From is the checkpoint that it is to
// follow at once, and then it follows no other; zero: whichever is the last.
type RecallBody struct {
	Office string        `cbor:"office"`
	Reason string        `cbor:"reason"`
	Out    []protocol.ID `cbor:"out,omitempty"`
	In     []Clerkship   `cbor:"in,omitempty"`
	From   protocol.ID   `cbor:"from,omitzero"`
}

// ResignBody gives up an office.
type ResignBody struct {
	Office string `cbor:"office"`
}

// ServeBody is empty: a clerk signs checkpoints with the device that signs the
// record.
type ServeBody struct{}

// RotateBody commits to the key after the one that signs the record. Guardians,
// if given, take the place of those that the persona has.
type RotateBody struct {
	Next      identity.Digest     `cbor:"next"`
	Guardians *identity.Guardians `cbor:"guard,omitempty"`
}

// RevokeBody takes a device's right to sign. What it made up to Cut stands, and
// of its bulk records not covered yet, those in Spare.
type RevokeBody struct {
	Cut   Place         `cbor:"cut"`
	Spare []protocol.ID `cbor:"spare,omitempty"`
}

// Validate refuses a list of nobody, of too many, or in no order.
func (b AppointBody) Validate() error {
	if n := len(b.Personas); n == 0 || n > MaxAppointees {
		return fmt.Errorf("roll: %d appointees, wanted 1 to %d", n, MaxAppointees)
	}
	return rising("appointees", b.Personas)
}

// Validate refuses a reason that no screen could show, and cuts in no order.
func (b RestrictBody) Validate() error {
	if len(b.Cut) > MaxDevices {
		return fmt.Errorf("roll: %d cuts, at most %d", len(b.Cut), MaxDevices)
	}
	for i := 1; i < len(b.Cut); i++ {
		if protocol.ID(b.Cut[i-1].Device).Compare(protocol.ID(b.Cut[i].Device)) >= 0 {
			return errors.New("roll: cuts are not sorted and unique")
		}
	}
	return checkReason(b.Reason)
}

// Validate refuses a recall that changes nothing, or lists in no order.
func (b RecallBody) Validate() error {
	in := make([]protocol.ID, len(b.In))
	for i, c := range b.In {
		in[i] = c.Persona
	}
	if n := len(b.Out) + len(in); n == 0 || len(b.Out) > MaxAppointees || len(in) > MaxAppointees {
		return fmt.Errorf("roll: a recall names 1 to %d holders and as many successors", MaxAppointees)
	}
	return errors.Join(rising("holders", b.Out), rising("successors", in), checkReason(b.Reason))
}

// Validate refuses a rotation that commits to nothing, or guardians who could do
// nothing.
func (b RotateBody) Validate() error {
	if b.Next.IsZero() {
		return errors.New("roll: a rotation commits to a next key")
	}
	if b.Guardians != nil {
		return b.Guardians.Validate()
	}
	return nil
}

// Validate refuses too many spared records, or in no order.
func (b RevokeBody) Validate() error {
	if len(b.Spare) > MaxSpared {
		return fmt.Errorf("roll: a revocation spares at most %d records", MaxSpared)
	}
	return rising("spared records", b.Spare)
}

func rising(what string, ids []protocol.ID) error {
	for i := 1; i < len(ids); i++ {
		if ids[i-1].Compare(ids[i]) >= 0 {
			return fmt.Errorf("roll: %s are not sorted and unique", what)
		}
	}
	return nil
}

func checkReason(reason string) error {
	if reason == "" || len(reason) > MaxReason || !utf8.ValidString(reason) {
		return fmt.Errorf("roll: a reason of 1 to %d bytes is needed", MaxReason)
	}
	return nil
}
