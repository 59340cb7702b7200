package node

import (
	"time"

	"github.com/metastate-p2p/metastate/protocol"
)

// The types of this file are what the node answers, in the shapes that scripts
// rely on. Times are RFC 3339 in UTC.

// CheckpointRef names a checkpoint.
type CheckpointRef struct {
	Height    uint64      `json:"height"`
	ID        protocol.ID `json:"id,omitzero"`         // absent if the node does not hold the checkpoint
	StateRoot string      `json:"stateRoot,omitempty"` // hex
}

// Status is how one metastate stands on this node.
type Status struct {
	ID          protocol.ID   `json:"id"`
	Name        string        `json:"name"`
	Persona     protocol.ID   `json:"persona"`
	Standing    string        `json:"standing"`
	Presence    string        `json:"presence,omitempty"` // that it shares
	Peers       int           `json:"peers"`
	Checkpoint  CheckpointRef `json:"checkpoint"`
	Provisional int           `json:"provisional"`     // records held and not yet final
	Clerks      ClerkStatus   `json:"clerks,omitzero"` // not known while joining
	History     HistoryStatus `json:"history"`
	Trouble     string        `json:"trouble,omitempty"` // that the disk is full, or why finality stopped, in words
	Remedy      string        `json:"remedy,omitempty"`  // what to do about it
	Step        string        `json:"step,omitempty"`    // of joining: saved, reached, verified, member
	// Lapsed are this device's records of late that could not become final.
	Lapsed []LapsedRecord `json:"lapsed,omitempty"`
	// Unsent are secret ballots that are prepared, and NOT sent.
	Unsent []UnsentBallot `json:"unsent,omitempty"`
	// Losing are members who lost 70 % or more of at least five open votes in a year.
	Losing []LosingMember `json:"losing,omitempty"`
}

// An UnsentBallot is a secret ballot that is prepared and not cast.
type UnsentBallot struct {
	Proposal protocol.ID `json:"proposal"`
	Title    string      `json:"title"`
	Code     string      `json:"code"`
}

// A LapsedRecord is one that waited too long, or rested on another's that can't
// become final.
type LapsedRecord struct {
	Record string      `json:"record"`
	Kind   string      `json:"kind"`
	At     time.Time   `json:"at"`             // when it was given up
	Again  protocol.ID `json:"again,omitzero"` // the record that says the same anew
	Why    string      `json:"why,omitempty"`  // there is none, in words
}

// HistoryStatus is how much of the past a node holds.
type HistoryStatus struct {
	From  uint64 `json:"from"`  // the lowest checkpoint from which on everything is held; 1 is all
	Began uint64 `json:"began"` // the checkpoint of the snapshot that it began with, 0 if it recomputed all
}

// ClerkStatus is who makes checkpoints.
type ClerkStatus struct {
	Count  int `json:"count"`
	Quorum int `json:"quorum"`
	Faulty int `json:"faulty"` // how many dishonest clerks are tolerated
}

// FoundRequest founds a metastate.
type FoundRequest struct {
	Name       string `json:"name"`
	Template   string `json:"template,omitempty"` // default union
	Charter    string `json:"charter,omitempty"`  // YAML, in place of a template
	As         string `json:"as,omitempty"`       // what the founder is called there
	Presence   string `json:"presence,omitempty"` // that it shares with others of this name; empty: one of its own
	Passphrase []byte `json:"passphrase,omitempty"`
}

// Membership is a persona in a metastate.
type Membership struct {
	Metastate protocol.ID `json:"metastate"`
	Persona   protocol.ID `json:"persona"`
	Standing  string      `json:"standing,omitempty"`
}

// Forked is a fork that was founded, and an invite to it.
type Forked struct {
	Membership
	Link   string    `json:"link"`
	Parent ParentRef `json:"parent"`
}

// ParentRef is the checkpoint of a parent that a fork was founded from.
type ParentRef struct {
	Metastate protocol.ID `json:"metastate"`
	Height    uint64      `json:"height"`
	ID        protocol.ID `json:"id"`
}

// LeaveRequest leaves for a fork.
type LeaveRequest struct {
	To     string `json:"to"`               // the fork, on this node
	Height uint64 `json:"height,omitempty"` // it was founded from; needed while it is being joined
}

// Split is who moved from a parent to its fork. Parent and fork compute the same.
type Split struct {
	Parent protocol.ID `json:"parent"`
	Fork   protocol.ID `json:"fork"`
	Height uint64      `json:"height"`
	Moved  []Moved     `json:"moved"`
}

// Moved is one who moved.
type Moved struct {
	From  protocol.ID `json:"from"`  // persona in the parent
	To    protocol.ID `json:"to"`    // persona in the fork
	Share bool        `json:"share"` // was a member at the checkpoint that the fork was founded from
}

// PactList is every pact of a metastate.
type PactList struct {
	Pacts []Pact `json:"pacts"`
}

// Pact is what two metastates agreed on, as one of them has it.
type Pact struct {
	Pact     protocol.ID `json:"pact"`
	With     protocol.ID `json:"with"`
	Terms    string      `json:"terms"`    // empty if the decision's text is not held here
	Standing string      `json:"standing"` // offered, in-force, ended
	Binds    bool        `json:"binds"`    // in force, and its end is not reached
	Since    time.Time   `json:"since"`    // the standing
	Ends     *time.Time  `json:"ends"`
	Decision protocol.ID `json:"decision"` // that offered it here
}

// JoinRequest joins by an invite's link.
type JoinRequest struct {
	Link       string `json:"link"`
	As         string `json:"as,omitempty"`
	Presence   string `json:"presence,omitempty"` // that it shares with others of this name; empty: one of its own
	Passphrase []byte `json:"passphrase,omitempty"`
}

// GiveUpRequest gives up joining.
type GiveUpRequest struct {
	Passphrase []byte `json:"passphrase,omitempty"`
}

// RotateRequest moves a persona on to its next key, and chooses guardians if
// Guard is given.
type RotateRequest struct {
	Metastate  string       `json:"metastate"` // ref
	Guard      *GuardChoice `json:"guard,omitempty"`
	Passphrase []byte       `json:"passphrase,omitempty"`
}

// GuardChoice is who may recover a persona.
type GuardChoice struct {
	Personas  []string      `json:"personas"` // refs
	Threshold int           `json:"threshold"`
	Delay     time.Duration `json:"delay"`
}

// Rotation is a rotation that was made, and what to give the guardians.
type Rotation struct {
	RecordRef
	Codes []GuardianCode `json:"codes,omitempty"`
}

// GuardianCode is what a guardian is given, who keeps it.
type GuardianCode struct {
	Persona protocol.ID `json:"persona"`
	Name    string      `json:"name"`
	Code    string      `json:"code"`
}

// GuardianSet is what the roll tells of one's own guardians.
type GuardianSet struct {
	Guardians int    `json:"guardians"` // how many; 0: none were chosen
	Threshold int    `json:"threshold"`
	Delay     string `json:"delay"` // Go style, "336h0m0s"
}

// RecoveryAsk begins to take up a persona whose keys are lost.
type RecoveryAsk struct {
	Link       string `json:"link"`
	Persona    string `json:"persona"` // whole id
	Passphrase []byte `json:"passphrase,omitempty"`
}

// RecoveryRequest is what the person hands to guardians.
type RecoveryRequest struct {
	Metastate protocol.ID `json:"metastate"`
	Persona   protocol.ID `json:"persona"`
	Request   string      `json:"request"`
}

// RecoveryList is every persona about which guardians have said something.
type RecoveryList struct {
	Recoveries []Recovery `json:"recoveries"`
}

// Recovery is what guardians want for a persona.
type Recovery struct {
	Persona   protocol.ID    `json:"persona"`
	Name      string         `json:"name"`
	Threshold int            `json:"threshold"`
	Words     []GuardianWord `json:"words"`
	Key       string         `json:"key,omitempty"` // that takes over, if one does
	Due       *time.Time     `json:"due"`           // at the soonest
	Final     bool           `json:"final"`         // the words are
}

// GuardianWord is the key that a guardian wants.
type GuardianWord struct {
	By     protocol.ID `json:"by"`
	Key    string      `json:"key"`
	Record protocol.ID `json:"record"`
}

// InviteRequest makes an invite.
type InviteRequest struct {
	Uses    uint64        `json:"uses,omitempty"`    // default 1
	Expires time.Duration `json:"expires,omitempty"` // default 72 h
	// Public asks for a link without an invite, which anyone can use as often as
	// they like, of a metastate whose charter admits so.
	Public bool `json:"public,omitempty"`
}

// InviteLink is an invite to hand over. A public link has nothing but the link.
type InviteLink struct {
	Link    string      `json:"link"`
	Expires time.Time   `json:"expires,omitzero"`
	Uses    uint64      `json:"uses,omitempty"`
	Invite  protocol.ID `json:"invite,omitzero"`
}

// InviteEntry is an invite as the roll has it.
type InviteEntry struct {
	Invite  protocol.ID `json:"invite"`
	By      protocol.ID `json:"by"`
	Uses    uint64      `json:"uses"`
	Used    uint64      `json:"used"`
	Expires time.Time   `json:"expires"`
	Revoked bool        `json:"revoked"`
	State   string      `json:"state"` // open, used (up), expired, revoked
}

// RollList is the roll as of a checkpoint.
type RollList struct {
	Checkpoint CheckpointRef `json:"checkpoint"`
	Members    []RollEntry   `json:"members"`
}

// RollEntry is one persona on the roll.
type RollEntry struct {
	Persona  protocol.ID `json:"persona"`
	Name     string      `json:"name"`
	Standing string      `json:"standing"`
	Final    bool        `json:"final"`
	Offices  []string    `json:"offices"`
	Since    *time.Time  `json:"since"`
}

// Why explains a fact.
type Why struct {
	Verdict string            `json:"verdict"`
	Because []protocol.Reason `json:"because"`
}

// RecordRef names a record that an act made.
type RecordRef struct {
	Record protocol.ID `json:"record"`
	Sent   int         `json:"sent"` // connected peers that took it over
}

// RecallRequest asks that some lose an office and others get it.
type RecallRequest struct {
	Office string        `json:"office"`
	Reason string        `json:"reason"`
	Out    []protocol.ID `json:"out,omitempty"`
	In     []protocol.ID `json:"in,omitempty"`
}

// Peer is a node of another member, as this node knows it.
type Peer struct {
	ID        string      `json:"id"`
	Metastate protocol.ID `json:"metastate"`
	Address   string      `json:"address"`
	Connected bool        `json:"connected"`
	Direct    bool        `json:"direct"`
	LastSync  *time.Time  `json:"lastSync"`
	Member    *PeerMember `json:"member,omitempty"` // whose it is; absent if that is not known
}

// PeerMember is whose computer a peer is.
type PeerMember struct {
	Persona protocol.ID `json:"persona"`
	Name    string      `json:"name"`
}

// SyncReport is what one round of pull sync did.
type SyncReport struct {
	Peers    int `json:"peers"`
	Received int `json:"received"`
	Sent     int `json:"sent"`
}

// BundleRequest exports records to a file.
type BundleRequest struct {
	Since  uint64 `json:"since,omitempty"`  // a checkpoint's height
	Sealed bool   `json:"sealed,omitempty"` // for the metastate's members alone
	Own    bool   `json:"own,omitempty"`    // only what this persona wrote and no checkpoint covers; Since is not used
}

// ImportReport is what a bundle brought.
type ImportReport struct {
	Imported  int       `json:"imported"`
	Duplicate int       `json:"duplicate"`
	Refused   []Refusal `json:"refused"` // what is damaged first
	Damaged   int       `json:"damaged"` // how many of Refused are; the rules refuse the others
}

// Refusal names a record of a bundle that was not taken.
type Refusal struct {
	ID     string `json:"id,omitempty"`
	Offset *int64 `json:"offset,omitempty"`
	Reason string `json:"reason"`
}
