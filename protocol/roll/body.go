package roll

import (
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/protocol"
)

// Bounds on bodies.
const (
	MaxReason     = 1000 // bytes
	MaxAppointees = 13
	MaxDevices    = 8 // live devices of one persona
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

// AdmitBody admits a persona: under an invite, with the newcomer's inception
// and first grant carried in the record, or (no invite) by name.
type AdmitBody struct {
	Persona protocol.ID `cbor:"persona"`
	Invite  protocol.ID `cbor:"invite,omitzero"`
}

// LeaveBody is empty: leaving needs no reason and nobody's consent.
type LeaveBody struct{}

// SuspendBody suspends a member of lower rank for as long as the charter lets
// one officer do so.
type SuspendBody struct {
	Persona protocol.ID `cbor:"persona"`
	Reason  string      `cbor:"reason"`
}

// AppointBody gives an office to members.
type AppointBody struct {
	Office   string        `cbor:"office"`
	Personas []protocol.ID `cbor:"personas"`
}

// Validate refuses what no office's appointment says.
func (b AppointBody) Validate() error {
	if n := len(b.Personas); n == 0 || n > MaxAppointees {
		return fmt.Errorf("roll: %d appointees, wanted 1 to %d", n, MaxAppointees)
	}
	if !slices.IsSortedFunc(b.Personas, protocol.ID.Compare) || len(slices.Compact(slices.Clone(b.Personas))) != len(b.Personas) {
		return errors.New("roll: appointees are not sorted and unique")
	}
	return nil
}

// Validate refuses a reason that no screen could show.
func (b SuspendBody) Validate() error {
	if b.Reason == "" || len(b.Reason) > MaxReason || !utf8.ValidString(b.Reason) {
		return fmt.Errorf("roll: a suspension needs a reason of 1 to %d bytes", MaxReason)
	}
	return nil
}
