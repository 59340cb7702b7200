package protocol

// A Plane says how records of a kind are held together (SPEC §1).
type Plane uint8

const (
	// Control records change the roll, offices, charter or keys, or open a
	// subject. They form a hash-linked DAG.
	Control Plane = iota
	// Bulk records belong to one subject. They form a set.
	Bulk
)

// A Kind names what a record does. The table of kinds is closed per version of
// the envelope: a record of another kind is held and passed on inside the
// default bounds, and has no effect.
type Kind string

// Kinds of the control plane, then those of the bulk plane.
const (
	Genesis      Kind = "genesis"
	Inception    Kind = "inception"
	Grant        Kind = "grant"
	Invite       Kind = "invite"
	InviteRevoke Kind = "invite.revoke"
	Admit        Kind = "admit"
	Leave        Kind = "leave"
	Suspend      Kind = "suspend"
	Appoint      Kind = "appoint"
	Propose      Kind = "propose"
	Ballot       Kind = "ballot"
)

type rule struct {
	plane   Plane
	payload int // cap, bytes
}

var kinds = map[Kind]rule{
	Genesis:      {Control, bigPayload},
	Inception:    {Control, 2 << 10},
	Grant:        {Control, 2 << 10},
	Invite:       {Control, 2 << 10},
	InviteRevoke: {Control, 2 << 10},
	Admit:        {Control, defaultPayload},
	Leave:        {Control, 2 << 10},
	Suspend:      {Control, 4 << 10},
	Appoint:      {Control, 4 << 10},
	Propose:      {Control, defaultPayload},
	Ballot:       {Bulk, bigPayload},
}

// Known reports whether this version gives k an effect.
func (k Kind) Known() bool { _, ok := kinds[k]; return ok }

// maxPayload is the cap of a payload of kind k.
func (k Kind) maxPayload() int {
	if r, ok := kinds[k]; ok {
		return r.payload
	}
	return defaultPayload
}
