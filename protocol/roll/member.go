package roll

import (
	"slices"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/dagcbor"
)

// A Standing says how a persona belongs.
type Standing string

// Standings. A persona not on the roll has none.
const (
	Pending   Standing = "pending" // asked to join, not yet admitted
	Full      Standing = "member"
	Suspended Standing = "suspended"
	Frozen    Standing = "frozen"
	Expelled  Standing = "expelled"
	Left      Standing = "left"
)

// Offices that rules know. A charter may define more.
const (
	Clerk     = "clerk"
	Registrar = "registrar"
)

// Ranks (SPEC §5.4). Nobody outranks by seniority.
const (
	RankNone    = 0
	RankMember  = 1
	RankOfficer = 2
	RankClerk   = 3
)

// A Span is a stretch of a persona's standing, from a checkpoint on.
type Span struct {
	Height   uint64   `cbor:"h"`
	AsOf     int64    `cbor:"t"`
	Standing Standing `cbor:"s"`
}

// maxSpans bounds the history of standings kept in the state, newest last.
const maxSpans = 32

// maxReasons bounds the reasons kept for a fact, newest last.
const maxReasons = 16

// A Member is a persona's entry on the roll. It is immutable.
type Member struct {
	Persona  protocol.ID
	Name     string             // chosen by the person; proves nothing
	Founder  bool               //
	Key      identity.PublicKey // signs grants and rotations
	Next     identity.Digest    // commitment to the next such key
	Chain    Chain              // of persona-key records
	Spans    []Span             // standings, oldest first
	Until    int64              // when a suspension lapses, asOf seconds; 0 if none
	Offices  []string           // sorted
	Devices  []identity.PublicKey
	Invite   protocol.ID   // under which the persona asked to join
	Approved []protocol.ID // registrars who admitted by name, sorted
	Because  []protocol.Reason
}

// A Chain is the end of a chain of records by one key.
type Chain struct {
	Next uint64      `cbor:"n"` // seq of the next record
	Head protocol.ID `cbor:"h,omitzero"`
}

// Standing is the persona's latest standing.
func (m *Member) Standing() Standing { return m.Spans[len(m.Spans)-1].Standing }

// StandingAt is the persona's standing at a checkpoint.
func (m *Member) StandingAt(height uint64) Standing {
	var s Standing
	for _, span := range m.Spans {
		if span.Height <= height {
			s = span.Standing
		}
	}
	return s
}

// Since is the checkpoint time of the persona's latest admission, 0 if never
// admitted.
func (m *Member) Since() int64 {
	var t int64
	was := Pending
	for _, span := range m.Spans {
		if span.Standing == Full && was != Suspended {
			t = span.AsOf
		}
		was = span.Standing
	}
	return t
}

// Holds reports whether the member has an office.
func (m *Member) Holds(office string) bool { return slices.Contains(m.Offices, office) }

// Rank is the member's rank, [RankNone] unless in full standing.
func (m *Member) Rank() int {
	switch {
	case m == nil || m.Standing() != Full:
		return RankNone
	case m.Holds(Clerk):
		return RankClerk
	case len(m.Offices) > 0:
		return RankOfficer
	}
	return RankMember
}

// with returns a copy of m with a new standing and the reason for it.
func (m *Member) with(step Step, s Standing, why protocol.Reason) *Member {
	c := *m
	c.Spans = appendBounded(m.Spans, Span{step.Height, step.AsOf, s}, maxSpans)
	if n := len(m.Spans); n > 0 && m.Spans[n-1].Height == step.Height {
		c.Spans = appendBounded(m.Spans[:n-1], Span{step.Height, step.AsOf, s}, maxSpans)
	}
	c.Because = appendBounded(m.Because, why, maxReasons)
	return &c
}

// appendBounded returns list with item at its end in a new slice, without the
// oldest when it would pass limit.
func appendBounded[T any](list []T, item T, limit int) []T {
	if len(list) >= limit {
		list = list[len(list)-limit+1:]
	}
	return append(slices.Clone(list), item)
}

type memberLeaf struct {
	Name     string               `cbor:"name,omitempty"`
	Founder  bool                 `cbor:"founder,omitempty"`
	Key      identity.PublicKey   `cbor:"key"`
	Next     identity.Digest      `cbor:"next"`
	Chain    Chain                `cbor:"chain"`
	Spans    []Span               `cbor:"spans"`
	Until    int64                `cbor:"until,omitempty"`
	Offices  []string             `cbor:"offices,omitempty"`
	Devices  []identity.PublicKey `cbor:"devices,omitempty"`
	Invite   protocol.ID          `cbor:"invite,omitzero"`
	Approved []protocol.ID        `cbor:"approved,omitempty"`
	Because  []protocol.Reason    `cbor:"because,omitempty"`
}

// AppendLeaf encodes the entry for the state root (SPEC §6.3).
func (m *Member) AppendLeaf(b []byte) []byte {
	return appendLeaf(b, memberLeaf{
		Name: m.Name, Founder: m.Founder, Key: m.Key, Next: m.Next, Chain: m.Chain, Spans: m.Spans, Until: m.Until,
		Offices: m.Offices, Devices: m.Devices, Invite: m.Invite, Approved: m.Approved, Because: m.Because,
	})
}

func appendLeaf(b []byte, v any) []byte {
	enc, err := dagcbor.Marshal(v)
	if err != nil {
		panic("roll: " + err.Error()) // our own types, their texts checked on the way in
	}
	return append(b, enc...)
}

// A Device is a key that signs daily records for a persona. It is immutable.
type Device struct {
	Persona protocol.ID `cbor:"persona"`
	Grant   protocol.ID `cbor:"grant"`
	Height  uint64      `cbor:"height"` // of the checkpoint that covers the grant
	Expires int64       `cbor:"expires"`
	Chain   Chain       `cbor:"chain"`            // of its control records
	Forked  bool        `cbor:"forked,omitempty"` // signed two records at one seq
}

// AppendLeaf encodes the entry for the state root.
func (d *Device) AppendLeaf(b []byte) []byte { return appendLeaf(b, d) }

// Live reports whether the device may sign at checkpoint time asOf.
func (d *Device) Live(asOf int64) bool { return d != nil && !d.Forked && asOf < d.Expires }

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
func (i *Invite) AppendLeaf(b []byte) []byte { return appendLeaf(b, i) }
