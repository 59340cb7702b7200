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
	Rotate       Kind = "rotate"
	Revoke       Kind = "revoke"
	Invite       Kind = "invite"
	InviteRevoke Kind = "invite.revoke"
	Admit        Kind = "admit"
	Leave        Kind = "leave"
	Suspend      Kind = "suspend"
	Expel        Kind = "expel"
	Endorse      Kind = "endorse"
	Appoint      Kind = "appoint"
	Recall       Kind = "recall"
	Resign       Kind = "resign"
	Serve        Kind = "serve"
	Evidence     Kind = "evidence"
	Recover      Kind = "recover"
	Claim        Kind = "claim"
	Anchor       Kind = "anchor"
	Countersign  Kind = "countersign"
	Propose      Kind = "propose"
	Revise       Kind = "revise"
	Withdraw     Kind = "withdraw"
	Support      Kind = "support"
	Contest      Kind = "contest"
	Dissent      Kind = "dissent"
	Delegate     Kind = "delegate"
	Comment      Kind = "comment"
	Trustee      Kind = "trustee"
	Open         Kind = "open"
	Ballot       Kind = "ballot"
)

type rule struct {
	plane   Plane
	payload int // cap, bytes
	persona bool
}

var kinds = map[Kind]rule{
	Genesis:      {Control, bigPayload, false},
	Inception:    {Control, 2 << 10, true},
	Grant:        {Control, 2 << 10, true},
	Rotate:       {Control, 2 << 10, true},
	Revoke:       {Control, 8 << 10, true},
	Invite:       {Control, 2 << 10, false},
	InviteRevoke: {Control, 2 << 10, false},
	Admit:        {Control, defaultPayload, false},
	Leave:        {Control, 2 << 10, false},
	Suspend:      {Control, 4 << 10, false},
	Expel:        {Control, 4 << 10, false},
	Endorse:      {Control, 2 << 10, false},
	Appoint:      {Control, 4 << 10, false},
	Recall:       {Control, 4 << 10, false},
	Resign:       {Control, 2 << 10, false},
	Serve:        {Control, 2 << 10, false},
	Evidence:     {Control, 2 << 10, false},
	Recover:      {Control, 2 << 10, false},
	Claim:        {Control, bigPayload, false},
	Anchor:       {Control, bigPayload, false},
	Countersign:  {Control, bigPayload, false},
	Propose:      {Control, bigPayload, false},
	Revise:       {Control, bigPayload, false},
	Withdraw:     {Control, 2 << 10, false},
	Support:      {Control, 2 << 10, false},
	Contest:      {Control, 4 << 10, false},
	Dissent:      {Control, 4 << 10, false},
	Delegate:     {Control, 2 << 10, false},
	Comment:      {Bulk, defaultPayload, false},
	Trustee:      {Control, defaultPayload, false},
	Open:         {Control, defaultPayload, false},
	Ballot:       {Bulk, bigPayload, false},
}

// Known reports whether this version gives k an effect.
func (k Kind) Known() bool { _, ok := kinds[k]; return ok }

// ByPersona reports whether records of kind k are signed by a persona's key and
// stand in its chain, and not in a device's.
func (k Kind) ByPersona() bool { return kinds[k].persona }

// maxPayload is the cap of a payload of kind k.
func (k Kind) maxPayload() int {
	if r, ok := kinds[k]; ok {
		return r.payload
	}
	return defaultPayload
}
