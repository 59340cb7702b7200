package roll

import (
	"iter"
	"slices"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/merkle"
)

// A Step is the checkpoint for which rules are applied.
type Step struct {
	Height uint64
	AsOf   int64 // checkpoint time, seconds since 1970
}

// A Clerkship is a clerk and the device that signs for the office.
type Clerkship struct {
	Persona protocol.ID        `cbor:"p"`
	Key     identity.PublicKey `cbor:"k"`
}

// A founder is a key that the genesis names, and whose inception it signed.
type founder struct {
	Key     identity.PublicKey `cbor:"k"`
	Persona protocol.ID        `cbor:"p,omitzero"`
}

// State is the roll: who belongs, by which keys they speak, who holds which
// office, and which invites are open. It is immutable; the zero State is the
// roll of no metastate.
type State struct {
	founders []founder
	members  merkle.Map[*Member]
	devices  merkle.Map[*Device]
	invites  merkle.Map[*Invite]
	officers []protocol.ID // who hold any office, sorted
	clerks   []Clerkship   // who sign the next checkpoint, sorted by persona
	lapses   Timers        // when suspensions will lapse, by persona
	full     uint64        // members in full standing
}

// Begin is the roll before the first checkpoint: no members, and the founding
// keys as clerks.
func Begin(metastate protocol.ID, founding []identity.PublicKey) State {
	var s State
	for _, k := range founding {
		s.founders = append(s.founders, founder{Key: k})
		s.clerks = append(s.clerks, Clerkship{Persona: metastate, Key: k})
	}
	return s
}

// Member is the entry of a persona, nil if it has none.
func (s State) Member(persona protocol.ID) *Member {
	m, _ := s.members.Get(persona)
	return m
}

// Members are all entries, whatever their standing, in order of persona.
func (s State) Members() iter.Seq[*Member] {
	return func(yield func(*Member) bool) {
		for _, m := range s.members.All() {
			if !yield(m) {
				return
			}
		}
	}
}

// Size is the number of members in full standing.
func (s State) Size() uint64 { return s.full }

// Device is the entry of a device key, nil if it has none.
func (s State) Device(key identity.PublicKey) *Device {
	d, _ := s.devices.Get(key)
	return d
}

// Invite is the invite made by the given record, nil if there is none.
func (s State) Invite(record protocol.ID) *Invite {
	i, _ := s.invites.Get(record)
	return i
}

// Invites are all invites, by the record that made them.
func (s State) Invites() iter.Seq2[protocol.ID, *Invite] {
	return func(yield func(protocol.ID, *Invite) bool) {
		for k, i := range s.invites.All() {
			if !yield(k, i) {
				return
			}
		}
	}
}

// Clerks are those who sign the next checkpoint, in the order that their
// signatures are numbered.
func (s State) Clerks() []Clerkship { return s.clerks }

// Founding reports whether key is one of the genesis's founding keys.
func (s State) Founding(key identity.PublicKey) bool {
	return slices.ContainsFunc(s.founders, func(f founder) bool { return f.Key == key })
}

// NextLapse is when the next suspension lapses, if one will.
func (s State) NextLapse() (int64, bool) {
	at, _, ok := s.lapses.Next()
	return at, ok
}

// Roots are the digests of the roll's parts, for the state root (SPEC §6.3).
type Roots struct {
	Members [32]byte
	Devices [32]byte
	Invites [32]byte
	Offices [32]byte // founders and clerks
}

// Roots computes the digests of the roll's parts.
func (s State) Roots() Roots {
	return Roots{
		Members: s.members.Root(),
		Devices: s.devices.Root(),
		Invites: s.invites.Root(),
		Offices: protocol.Sum(appendLeaf(nil, struct {
			Founders []founder   `cbor:"founders"`
			Clerks   []Clerkship `cbor:"clerks"`
		}{s.founders, s.clerks})),
	}
}

// ProveMember proves a persona's entry, or that it has none, against
// [Roots].Members.
func (s State) ProveMember(persona protocol.ID) merkle.Proof { return s.members.Prove(persona) }

// put stores a member's entry and keeps the indexes true.
func (s State) put(m *Member) State {
	var until int64
	if old := s.Member(m.Persona); old != nil {
		until = old.Until
		if old.Standing() == Full {
			s.full--
		}
	}
	if m.Standing() == Full {
		s.full++
	}
	s.members = s.members.Put(m.Persona, m)
	s.officers = setMember(s.officers, m.Persona, len(m.Offices) > 0)
	s.lapses = s.lapses.Move(m.Persona, until, m.Until)
	return s
}

// setMember returns the sorted set list with id in it or not.
func setMember(list []protocol.ID, id protocol.ID, in bool) []protocol.ID {
	i, found := slices.BinarySearchFunc(list, id, protocol.ID.Compare)
	switch {
	case found == in:
		return list
	case in:
		return slices.Insert(slices.Clone(list), i, id)
	}
	return slices.Delete(slices.Clone(list), i, i+1)
}

// seatClerks recomputes who signs the next checkpoint: each clerk in full
// standing, by the first of their live devices. While nobody can, the last who
// could go on as caretakers (SPEC §5.4).
func (s State) seatClerks(asOf int64) State {
	var clerks []Clerkship
	for _, p := range s.officers {
		m := s.Member(p)
		if m.Rank() != RankClerk {
			continue
		}
		for _, key := range m.Devices {
			if s.Device(key).Live(asOf) {
				clerks = append(clerks, Clerkship{p, key})
				break
			}
		}
	}
	if len(clerks) > 0 {
		s.clerks = clerks
	}
	return s
}
