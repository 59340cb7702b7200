package state

import (
	"fmt"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/abroad"
	"github.com/metastate-p2p/metastate/protocol/certificate"
	"github.com/metastate-p2p/metastate/protocol/charter"
	"github.com/metastate-p2p/metastate/protocol/dagcbor"
	"github.com/metastate-p2p/metastate/protocol/decision"
	"github.com/metastate-p2p/metastate/protocol/roll"
)

// A State is everything that rules have decided about one metastate as of a
// checkpoint. It is immutable; share it freely.
type State struct {
	metastate protocol.ID
	name      string
	charter   *charter.Charter
	charterID protocol.ID // digest of its encoding
	height    uint64
	asOf      int64
	window    []firstOf
	roll      roll.State
	decisions decision.State
	abroad    abroad.State
}

// Begin is the state that a genesis founds: no members yet, and the founding
// keys as clerks of the first checkpoint.
func Begin(genesis *protocol.Record) (*State, error) {
	if genesis.Kind() != protocol.Genesis {
		return nil, fmt.Errorf("state: record %s is no genesis", genesis.ID())
	}
	body, err := protocol.Body[GenesisBody](genesis)
	if err != nil {
		return nil, fmt.Errorf("state: genesis %s: %w", genesis.ID(), err)
	}
	if err := body.Validate(); err != nil {
		return nil, fmt.Errorf("state: genesis %s: %w", genesis.ID(), err)
	}
	return &State{
		metastate: genesis.ID(), name: body.Name, charter: &body.Charter,
		charterID: body.Charter.ID(), asOf: genesis.Header().Time,
		roll: roll.Begin(genesis.ID(), foundingKeys(genesis)), abroad: abroad.Begin(genesis.ID(), body.Parent),
	}, nil
}

// Metastate is the community's id.
func (s *State) Metastate() protocol.ID { return s.metastate }

// Name is the community's name.
func (s *State) Name() string { return s.name }

// Charter is the charter in force. It must not be changed.
func (s *State) Charter() *charter.Charter { return s.charter }

// Height is that of the checkpoint this state is as of; 0 before the first.
func (s *State) Height() uint64 { return s.height }

// AsOf is the checkpoint's time in seconds since 1970; before the first, the
// time that the genesis claims.
func (s *State) AsOf() int64 { return s.asOf }

// Roll is who belongs.
func (s *State) Roll() roll.State { return s.roll }

// Decisions are the proposals and their votes.
func (s *State) Decisions() decision.State { return s.decisions }

// Abroad is what is known of other metastates, and who came from the parent.
func (s *State) Abroad() abroad.State { return s.abroad }

// NextDeadline is the checkpoint time at which something falls due by itself
// (a phase of a poll ends, a suspension lapses), if anything will. A clerk
// makes a checkpoint for it even when there is nothing to cover (SPEC §7.4).
func (s *State) NextDeadline() (at int64, ok bool) {
	at, ok = s.decisions.NextDeadline()
	if l, has := s.roll.NextDue(s.asOf); has && (!ok || l < at) {
		return l, true
	}
	return at, ok
}

// sections are the digests that the state root is made of (SPEC §6.3).
type sections struct {
	AsOf    int64       `cbor:"asOf"`
	Charter protocol.ID `cbor:"charter"`
	Clock   int64       `cbor:"clock"`
	Devices []byte      `cbor:"devices"`
	Height  uint64      `cbor:"height"`
	Abroad  []byte      `cbor:"abroad"`
	Claims  []byte      `cbor:"claims"`
	Firsts  []byte      `cbor:"firsts"`
	Invites []byte      `cbor:"invites"`
	Members []byte      `cbor:"members"`
	Motions []byte      `cbor:"motions"`
	Offices []byte      `cbor:"offices"`
	Pacts   []byte      `cbor:"pacts"`
	Polls   []byte      `cbor:"polls"`
	Said    []byte      `cbor:"said"`
	Boards  []byte      `cbor:"committees"`
	Window  []firstOf   `cbor:"window"`
}

func (s *State) sections() []byte {
	r, polls, firsts := s.roll.Roots(), s.decisions.Root(), s.decisions.FirstsRoot()
	said, boards := s.decisions.SaidRoot(), s.decisions.CommitteesRoot()
	abroad := s.abroad.Roots()
	return dagcbor.Encode(sections{
		AsOf: s.asOf, Charter: s.charterID, Clock: s.roll.Clock(), Height: s.height,
		Devices: r.Devices[:], Invites: r.Invites[:], Members: r.Members[:], Motions: r.Motions[:], Firsts: firsts[:], Offices: r.Offices[:], Polls: polls[:], Said: said[:], Boards: boards[:],
		Abroad: abroad.Known[:], Claims: abroad.Claims[:], Pacts: abroad.Pacts[:],
		Window: append([]firstOf{}, s.window...),
	})
}

// Root is the digest of the whole state: equal states have equal roots, and
// any entry can be proved against it. It is computed from what changed since
// the state it came from.
func (s *State) Root() [32]byte { return protocol.Sum(s.sections()) }

// ProveMember shows a persona's entry on the roll, or that there is none, to
// someone who has only a checkpoint's state root.
func (s *State) ProveMember(persona protocol.ID) certificate.Entry {
	p := certificate.Entry{Sections: s.sections(), Path: s.roll.ProveMember(persona)}
	if m := s.roll.Member(persona); m != nil {
		p.Entry = m.AppendLeaf(nil)
	}
	return p
}

// VerifyMember checks a proof against a state root. A proof with an entry
// shows that the entry is the persona's; one without, that it has none.
func VerifyMember(root [32]byte, persona protocol.ID, p certificate.Entry) error {
	return p.Verify(root, "members", persona)
}

// ProvePact shows what this metastate has of a pact.
func (s *State) ProvePact(id protocol.ID) certificate.Entry {
	p := certificate.Entry{Sections: s.sections(), Path: s.abroad.ProvePact(id)}
	if x := s.abroad.Pact(id); x != nil {
		p.Entry = x.AppendLeaf(nil)
	}
	return p
}
