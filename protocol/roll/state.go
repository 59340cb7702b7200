package roll

import (
	"iter"
	"slices"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/dagcbor"
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
	seats
	motions merkle.Map[*Motion]
	timers  Timers // when something about a member falls due, by persona
	lapses  Timers // when motions lapse, by act
	delays         // of recoveries
	sizes

	recalled []Recalled // what the last step did; no part of what a root covers
}

// seats are who holds offices, and who signs.
type seats struct {
	officers []protocol.ID // who hold any office, sorted
	clerks   []Clerkship   // who sign the next checkpoint, sorted by persona
	eras     []Era         // who could sign under recalls, oldest first
}

// sizes are numbers that follow from the members.
type sizes struct {
	full   uint64 // in full standing
	belong uint64 // and those whose standing was taken for a time
}

// Recalled is a recall of clerks that a step carried out, by its record, and who
// follows them.
type Recalled struct {
	Act protocol.ID
	In  []Clerkship
}

// JustRecalled are the recalls of clerks that the last step carried out, rising.
func (s State) JustRecalled() []Recalled { return s.recalled }

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

// Whole is the number of those of whom a majority is more than half: the members,
// and those who are suspended or frozen.
func (s State) Whole() uint64 { return s.belong }

// Chain is the end of the chain of a key of a persona: its own, or one of its
// devices'.
func (s State) Chain(persona protocol.ID, key identity.PublicKey) (end Chain, ok bool) {
	if m := s.Member(persona); m != nil && m.Keys.Key == key {
		return m.Keys.Chain, true
	}
	if d := s.Device(key); d != nil && d.Persona == persona {
		return d.Chain, true
	}
	return Chain{}, false
}

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

// Awaits reports whether key is one of the genesis's founding keys that brought
// in nobody yet.
func (s State) Awaits(key identity.PublicKey) bool {
	return slices.ContainsFunc(s.founders, func(f founder) bool { return f.Key == key && f.Persona.IsZero() })
}

// Motion is the act of that record while it waits for endorsements, else nil.
func (s State) Motion(act protocol.ID) *Motion {
	m, _ := s.motions.Get(act)
	return m
}

// Motions are all acts that wait for endorsements, by their records.
func (s State) Motions() iter.Seq2[protocol.ID, *Motion] {
	return func(yield func(protocol.ID, *Motion) bool) {
		for k, m := range s.motions.All() {
			if !yield(k, m) {
				return
			}
		}
	}
}

// NextDue is when, as of a checkpoint time, the next suspension or term ends, a
// motion lapses or a recovery needs a checkpoint, if any will.
func (s State) NextDue(asOf int64) (int64, bool) {
	at, _, ok := s.timers.Next()
	if l, _, has := s.lapses.Next(); has && (!ok || l < at) {
		at, ok = l, true
	}
	if left, has := s.nextRecovery(); has && (!ok || asOf+left < at) {
		at, ok = asOf+left, true
	}
	return at, ok
}

// Clock is the checkpoint time that has gone by since the genesis, seconds. Of
// the gap between two checkpoints it counts a day at most.
func (s State) Clock() int64 { return s.clock }

// Roots are the digests of the roll's parts, for the state root (SPEC §6.3).
type Roots struct {
	Members [32]byte
	Devices [32]byte
	Invites [32]byte
	Motions [32]byte
	Offices [32]byte // founders and clerks
}

// Roots computes the digests of the roll's parts.
func (s State) Roots() Roots {
	return Roots{
		Members: s.members.Root(),
		Devices: s.devices.Root(),
		Invites: s.invites.Root(),
		Motions: s.motions.Root(),
		Offices: protocol.Sum(dagcbor.Encode(s.offices())),
	}
}

// ProveMember proves a persona's entry, or that it has none, against
// [Roots].Members.
func (s State) ProveMember(persona protocol.ID) merkle.Proof { return s.members.Prove(persona) }

// put stores a member's entry and keeps the indexes true.
func (s State) put(m *Member) State {
	var due, matures int64
	if old := s.Member(m.Persona); old != nil {
		due, matures = old.due(), old.Keys.Recovery.due()
		if old.Standing() == Full {
			s.full--
		}
		if old.belongs() {
			s.belong--
		}
	}
	if m.Standing() == Full {
		s.full++
	}
	if m.belongs() {
		s.belong++
	}
	s.members = s.members.Put(m.Persona, m)
	s.officers = setMember(s.officers, m.Persona, len(m.Offices()) > 0)
	s.timers = s.timers.Move(m.Persona, due, m.due())
	s.matures = s.matures.Move(m.Persona, matures, m.Keys.Recovery.due())
	return s
}

// setMember returns the sorted set list with id in it or not.
func setMember(list []protocol.ID, id protocol.ID, in bool) []protocol.ID {
	i, found := slices.BinarySearchFunc(list, id, protocol.ID.Compare)
	switch {
	case found == in:
		return list
	case in:
		return slices.Concat(list[:i], []protocol.ID{id}, list[i:])
	}
	return slices.Delete(slices.Clone(list), i, i+1)
}

// seatClerks recomputes who signs the next checkpoint: each clerk in full
// standing who serves with a live device. Until they are more than half of those
// who hold the office, those whose term is over sign along, so that the first who
// takes it up is not the only clerk. While nobody can, the last who could go on as
// caretakers (SPEC §5.5).
func (s State) seatClerks(asOf int64) State {
	var serving, over []Clerkship
	holders := 0
	for _, p := range s.officers {
		m := s.Member(p)
		if !m.has(Clerk) {
			continue
		}
		key, ok := s.Serving(m, asOf)
		ok = ok && m.Standing() == Full
		switch {
		case !m.Holds(Clerk) && ok:
			over = append(over, Clerkship{p, key})
		case m.Holds(Clerk):
			holders++
			if ok {
				serving = append(serving, Clerkship{p, key})
			}
		}
	}
	if 2*len(serving) > holders {
		s.clerks = serving
		return s.release()
	}
	if len(serving)+len(over) > MaxAppointees {
		serving = nil // more than sign a checkpoint: those who did go on
	}
	if len(over) > MaxAppointees { // elected ones too, whose term ended before enough served
		signs := func(c Clerkship) int {
			if slices.ContainsFunc(s.clerks, func(o Clerkship) bool { return o.Persona == c.Persona }) {
				return 0
			}
			return 1
		}
		slices.SortStableFunc(over, func(a, b Clerkship) int { return signs(a) - signs(b) })
		over = over[:MaxAppointees]
	}
	if all := append(serving, over...); len(all) > 0 {
		slices.SortFunc(all, func(a, b Clerkship) int { return a.Persona.Compare(b.Persona) })
		s.clerks = all
	}
	return s
}

// release frees clerks whose term is over, as others have followed.
func (s State) release() State {
	for _, p := range slices.Clone(s.officers) {
		m := s.Member(p)
		if i := m.holding(Clerk); i >= 0 && m.Offices()[i].Over {
			c := *m
			c.hold(slices.Delete(slices.Clone(m.Offices()), i, i+1))
			s = s.put(&c)
		}
	}
	return s
}

// FirstDevice is the device of a member that acts for them in an office: the one
// that serves, or the first that is live.
func (s State) FirstDevice(persona protocol.ID, asOf int64) (key identity.PublicKey, ok bool) {
	m := s.Member(persona)
	if !m.Voice() {
		return key, false
	}
	if serves := m.post().Serves; s.Device(serves).Live(asOf) {
		return serves, true
	}
	i := slices.IndexFunc(m.Devices, func(k identity.PublicKey) bool { return s.Device(k).Live(asOf) })
	if i < 0 {
		return key, false
	}
	return m.Devices[i], true
}

// Serving is the device with which a clerk signs checkpoints: the one that said
// so, or a founder's first.
func (s State) Serving(m *Member, asOf int64) (key identity.PublicKey, ok bool) {
	if !m.Founder() && !s.Device(m.post().Serves).Live(asOf) {
		return key, false
	}
	return s.FirstDevice(m.Persona, asOf)
}
