package node

import (
	"time"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/decision/count"
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

// ProposeRequest puts a question to the vote.
type ProposeRequest struct {
	Title    string        `json:"title"`
	Text     string        `json:"text,omitempty"`
	Method   string        `json:"method,omitempty"` // default yes-no
	Options  []string      `json:"options,omitempty"`
	Seats    uint64        `json:"seats,omitempty"`
	Class    string        `json:"class,omitempty"` // default ordinary, or what the act takes
	ClosesIn time.Duration `json:"closesIn"`
	Act      *ActRequest   `json:"act,omitempty"`
	Params   count.Params  `json:"params,omitzero"` // of the method
	// Tie is how ties are settled: lot or listed; without it what they decide stays
	// open.
	Tie       string `json:"tie,omitempty"`
	Secret    bool   `json:"secret,omitempty"`
	Trustees  uint64 `json:"trustees,omitempty"`  // of a secret vote, that must be in office; 0: as many as there are
	Least     uint64 `json:"least,omitempty"`     // of a secret vote, ballots that must be cast for it to be opened; 0: 3
	Rehearsal bool   `json:"rehearsal,omitempty"` // a mock vote without effect
	Confirms  string `json:"confirms,omitempty"`  // a decision that was set aside, which is taken again
}

// RecallRequest asks that some lose an office and others get it.
type RecallRequest struct {
	Office string        `json:"office"`
	Reason string        `json:"reason"`
	Out    []protocol.ID `json:"out,omitempty"`
	In     []protocol.ID `json:"in,omitempty"`
}

// ProposalRef names a proposal that was opened.
type ProposalRef struct {
	Proposal protocol.ID `json:"proposal"`
	Sent     int         `json:"sent"`
}

// ProposalList is every proposal, those still to be decided first.
type ProposalList struct {
	Proposals []Proposal `json:"proposals"`
}

// Proposal is a proposal and where it stands.
type Proposal struct {
	Proposal protocol.ID `json:"proposal"`
	Title    string      `json:"title"`
	Text     string      `json:"text,omitempty"`
	Author   protocol.ID `json:"author"`
	Method   string      `json:"method"`
	Class    string      `json:"class"`
	Seats    uint64      `json:"seats,omitempty"`
	Act      string      `json:"act,omitempty"` // what it does when in force

	Params count.Params `json:"params,omitzero"` // of the method

	Secret     bool         `json:"secret"`
	Secrecy    *SecrecyView `json:"secrecy,omitempty"` // of a secret vote
	Phase      string       `json:"phase"`
	Final      bool         `json:"final"` // the opening is final
	Options    []string     `json:"options"`
	Opens      *time.Time   `json:"opens"`
	Closes     *time.Time   `json:"closes"`
	Electorate uint64       `json:"electorate"`
	MayVote    bool         `json:"mayVote"`
	Voted      string       `json:"voted,omitempty"`  // own choice as held
	VotedBy    protocol.ID  `json:"votedBy,omitzero"` // the officer who cast it
	Tie        string       `json:"tie,omitempty"`
	Rehearsal  bool         `json:"rehearsal,omitempty"` // a mock vote without effect
	Confirms   protocol.ID  `json:"confirms,omitzero"`   // the decision it takes again

	Version    protocol.ID       `json:"version"` // the record whose text is voted on
	Support    *SupportView      `json:"support,omitempty"`
	Objections uint64            `json:"objections,omitempty"`
	Dissents   []Dissent         `json:"dissents,omitempty"` // minority reports
	Names      map[string]string `json:"names,omitempty"`    // of an election: option to what the candidate is called
}

// SupportView is how much support a proposal has and needs to come to the vote.
type SupportView struct {
	Have     uint64 `json:"have"`     // members besides its author
	Sponsors uint64 `json:"sponsors"` // of those it needs
	Share    string `json:"share"`    // of the roll, its author included
}

// Dissent is a minority report.
type Dissent struct {
	Record protocol.ID `json:"record"`
	Author protocol.ID `json:"author,omitzero"`
	Name   string      `json:"name,omitempty"`
	Text   string      `json:"text,omitempty"` // empty where the record is not held
}

// Tally is the count of a poll.
type Tally struct {
	Proposal   protocol.ID       `json:"proposal"`
	Title      string            `json:"title"`
	Phase      string            `json:"phase"`
	Final      bool              `json:"final"` // closed by a checkpoint
	Electorate uint64            `json:"electorate"`
	Counted    uint64            `json:"counted"`
	Assisted   uint64            `json:"assisted,omitempty"` // of these, cast by officers for members
	Carried    uint64            `json:"carried,omitempty"`  // votes given to those who voted
	Refused    uint64            `json:"refused"`
	Outcome    string            `json:"outcome"` // empty until final
	Winners    []string          `json:"winners"`
	Options    []string          `json:"options"`           // in the order of the matrix
	Votes      map[string]uint64 `json:"votes,omitempty"`   // none of a secret vote that is not opened
	Seats      map[string]uint64 `json:"seats,omitempty"`   // of each list
	Matrix     [][]uint64        `json:"matrix,omitempty"`  // how many prefer one option, by the row, to another
	Dropped    []string          `json:"dropped,omitempty"` // options that missed a quorum or majority
	Rounds     []Round           `json:"rounds"`
	Checkpoint *CheckpointRef    `json:"checkpoint"`        // the closing one
	Secrecy    *SecrecyView      `json:"secrecy,omitempty"` // of a secret vote

	Names map[string]string `json:"names,omitempty"` // of an election: option to what the candidate is called
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
