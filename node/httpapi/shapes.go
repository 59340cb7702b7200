package httpapi

import (
	"time"

	"github.com/metastate-p2p/metastate/node"
	"github.com/metastate-p2p/metastate/protocol"
)

// The types of this file are answers that the node's own types do not cover.

// StatusList is every metastate of the node.
type StatusList struct {
	Metastates []node.Status `json:"metastates"`
}

// InviteList is every invite on the roll.
type InviteList struct {
	Invites []node.InviteEntry `json:"invites"`
}

// PeerList is the nodes of other members.
type PeerList struct {
	Peers []node.Peer `json:"peers"`
}

// CharterText is a charter in the form that people read, YAML.
type CharterText struct {
	YAML string `json:"yaml"`
}

// OfficeList is the offices of the charter and who holds them.
type OfficeList struct {
	Offices []Office `json:"offices"`
}

// An Office is a duty and its holders.
type Office struct {
	Office  string   `json:"office"`
	Seats   uint64   `json:"seats"`
	Term    string   `json:"term"` // Go style, "8760h0m0s"; "0s": until recalled
	Holders []Holder `json:"holders"`
}

// A Holder holds an office.
type Holder struct {
	Persona protocol.ID `json:"persona"`
	Name    string      `json:"name"`
}

// StandingProof is a persona's standing, proven (SPEC §7.7).
type StandingProof struct {
	Proof []byte `json:"proof"`
}

// SyncStatus is how far this node is in step with others.
type SyncStatus struct {
	Peers       int                `json:"peers"`     // known
	Connected   int                `json:"connected"` // of these
	LastSync    *time.Time         `json:"lastSync"`  // the latest with any peer
	Provisional int                `json:"provisional"`
	Checkpoint  node.CheckpointRef `json:"checkpoint"`
}
