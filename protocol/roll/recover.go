package roll

import (
	"bytes"
	"errors"
	"slices"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/protocol"
)

// dailyGap is how much of a gap between two checkpoints counts at most for
// recoveries, seconds: whoever may veto sees checkpoints while the delay runs.
const dailyGap = 24 * 3600

// An Heir is a key that guardians want a persona to go on with, and the
// commitment to the key after it. The zero Heir is none.
type Heir struct {
	Key  identity.PublicKey `cbor:"key,omitzero"`
	Next identity.Digest    `cbor:"next,omitzero"`
}

// RecoverBody says that its author, a guardian of the persona, wants it to go
// on with another key; with the zero Heir, that the author no longer does. Salt
// shows that the author is a guardian ([identity.GuardianHash]).
type RecoverBody struct {
	Persona protocol.ID        `cbor:"persona"`
	Key     identity.PublicKey `cbor:"key,omitzero"`
	Next    identity.Digest    `cbor:"next,omitzero"`
	Salt    identity.Nonce     `cbor:"salt"`
}

// Heir is the key that the author wants.
func (b RecoverBody) Heir() Heir { return Heir{b.Key, b.Next} }

// Validate refuses half an heir.
func (b RecoverBody) Validate() error {
	if b.Key.IsZero() != b.Next.IsZero() {
		return errors.New("roll: a recovery names a key and a commitment, or neither")
	}
	return nil
}

// A Recovery is what guardians said about a persona and no rotation has vetoed.
// It is immutable.
type Recovery struct {
	Supports []Support `cbor:"s"` // one of each guardian at most, by guardian
	Run      *Run      `cbor:"r,omitempty"`
}

// A Support is the heir that a guardian wants, and the record that says so.
type Support struct {
	By     protocol.ID `cbor:"p"`
	Record protocol.ID `cbor:"r"`
	Heir   Heir        `cbor:"h"`
}

// A Run is the heir that takes over at Due, on the clock of [State.Clock].
type Run struct {
	Heir Heir  `cbor:"h"`
	Due  int64 `cbor:"d"`
}

// delays are what recoveries wait for.
type delays struct {
	clock   int64  // see [State.Clock]
	matures Timers // when recoveries are carried out, on the clock, by persona
}

func (r *Recovery) due() int64 {
	if r == nil || r.Run == nil {
		return 0
	}
	return r.Run.Due
}

// with returns the supports with a guardian's word: a new one, another instead
// of the last, or none.
func (r *Recovery) with(s Support) *Recovery {
	var c Recovery
	if r != nil {
		c.Run, c.Supports = r.Run, slices.Clone(r.Supports)
	}
	i, has := slices.BinarySearchFunc(c.Supports, s.By, func(s Support, by protocol.ID) int { return s.By.Compare(by) })
	switch {
	case has && c.Supports[i].Heir == s.Heir: // said before
	case has && s.Heir == Heir{}:
		c.Supports = slices.Delete(c.Supports, i, i+1)
	case has:
		c.Supports[i] = s
	case s.Heir != Heir{}:
		c.Supports = slices.Insert(c.Supports, i, s)
	}
	return &c
}

// counts reports whether a guardian's word counts now: it does not once the
// guardian has left, was expelled or is frozen. A suspension, which one officer
// can order, takes nothing from what was said before.
func (s State) counts(x Support) bool {
	m := s.Member(x.By)
	return m != nil && (m.Standing() == Full || m.Standing() == Suspended)
}

// favoured are the supports of the heir that most guardians of a persona want,
// if they are as many as it asks for: none if there are too few, or if two heirs
// have equally many.
func (s State) favoured(m *Member, r *Recovery) (list []Support) {
	by := map[Heir][]Support{}
	for _, x := range r.Supports {
		if s.counts(x) {
			by[x.Heir] = append(by[x.Heir], x)
		}
	}
	most, tie := 0, false
	for _, supports := range by {
		switch n := len(supports); {
		case n > most:
			most, tie, list = n, false, supports
		case n == most:
			tie = true
		}
	}
	if tie || m.Keys.Guard == nil || most < int(m.Keys.Guard.Threshold) {
		return nil
	}
	return list
}

// Guards reports whether a persona is a guardian of m, as the salt shows.
func (m *Member) Guards(persona protocol.ID, salt identity.Nonce) bool {
	if m.Keys.Guard == nil || persona == m.Persona {
		return false
	}
	h := identity.GuardianHash(salt, persona)
	_, ok := slices.BinarySearchFunc(m.Keys.Guard.Hashes, h, func(a, b identity.Digest) int { return bytes.Compare(a[:], b[:]) })
	return ok
}

// recoveries takes what guardians say, starts and stops recoveries, and carries
// out those whose delay is over. A rotation by the committed key goes before all
// of it: that, and nothing else, is a veto (SPEC §5.9).
func (f *fold) recoveries() {
	rotations := f.rotating()
	vetoed := func(persona protocol.ID) bool { return len(rotations[persona]) == 1 }
	said := map[protocol.ID]map[protocol.ID][]*protocol.Record{} // persona → guardian
	due := slices.DeleteFunc(f.s.maturing(), vetoed)
	for _, persona := range due {
		said[persona] = map[protocol.ID][]*protocol.Record{}
	}
	f.each(protocol.Recover, func(r *protocol.Record) (protocol.Verdict, bool) {
		body, err := protocol.Body[RecoverBody](r)
		if err != nil || body.Validate() != nil {
			return protocol.Void(r, RuleMalformed, "A recovery names a persona, a key and the commitment to the key after it."), true
		}
		m := f.Base.Member(body.Persona)
		switch {
		case f.power(r) < RankMember:
			return noPower(r, "Only a member acts as a guardian."), true
		case m == nil || !m.Guards(r.Author(), body.Salt):
			return noPower(r, "The author is not one of the persona's guardians, or the salt is another."), true
		case body.Key == m.Keys.Key:
			return noPower(r, "The persona has this key."), true
		case slices.Contains(due, r.Author()): // else it would matter who is looked at first
			return protocol.Void(r, RuleCut, "The author's own recovery is due, which revokes the device."), true
		}
		if said[body.Persona] == nil {
			said[body.Persona] = map[protocol.ID][]*protocol.Record{}
		}
		said[body.Persona][r.Author()] = append(said[body.Persona][r.Author()], r)
		return protocol.Verdict{}, false
	})
	for persona, guardians := range said {
		m := f.s.Member(persona)
		r := m.Keys.Recovery
		for _, list := range guardians {
			if vetoed(persona) {
				for _, x := range list {
					f.verdicts[x.ID()] = protocol.Void(x, RuleVeto, "The persona's committed key rotated in the same checkpoint.")
				}
			} else if x := f.lastWord(list); x != nil {
				body, _ := protocol.Body[RecoverBody](x)
				r = r.with(Support{By: x.Author(), Record: x.ID(), Heir: body.Heir()})
			}
		}
		if !vetoed(persona) && r != nil {
			f.recover(m, r)
		}
	}
}

// maturing are the personas whose recovery falls due by now.
func (s State) maturing() (list []protocol.ID) {
	t := s.matures
	for {
		at, persona, ok := t.Next()
		if !ok || at > s.clock {
			return list
		}
		list = append(list, persona)
		t = t.Move(persona, at, 0)
	}
}

// lastWord gives the verdicts on what one guardian said in one batch about one
// persona, and the record that counts: the one that follows all that say
// otherwise, nil if there is none.
func (f *fold) lastWord(list []*protocol.Record) (last *protocol.Record) {
	heir := func(r *protocol.Record) Heir {
		body, _ := protocol.Body[RecoverBody](r)
		return body.Heir()
	}
	for _, r := range list {
		after := !slices.ContainsFunc(list, func(o *protocol.Record) bool { return heir(o) != heir(r) && !f.Past(o.ID(), r.ID()) })
		if after && (last == nil || r.ID().Compare(last.ID()) < 0) {
			last = r
		}
	}
	for _, r := range list {
		f.verdicts[r.ID()] = protocol.Stand(r, RuleSupport, "A guardian of the persona said which key it shall go on with.")
		if last == nil {
			f.verdicts[r.ID()] = protocol.Void(r, RuleSupport, "The guardian said different things at once.")
		}
	}
	return last
}

// recover keeps what guardians said about m, and carries it out if it is due.
func (f *fold) recover(m *Member, r *Recovery) {
	c := *m
	supports := f.Base.favoured(m, r)
	switch {
	case len(r.Supports) == 0:
		r = nil
	case supports == nil:
		r = &Recovery{Supports: r.Supports}
	case r.Run == nil || r.Run.Heir != supports[0].Heir:
		r = &Recovery{Supports: r.Supports, Run: &Run{Heir: supports[0].Heir, Due: f.s.clock + m.Keys.Guard.Delay}}
	case r.Run.Due <= f.s.clock:
		f.takeOver(m, supports)
		return
	}
	c.Keys.Recovery = r
	f.s = f.s.put(&c)
}

// takeOver gives a persona the key that its guardians want. Its devices are no
// longer its own, nor what they made and nothing covers yet.
func (f *fold) takeOver(m *Member, supports []Support) {
	for _, key := range m.Devices {
		if f.Base.Device(key).Marks().Revoked != 0 {
			continue
		}
		delete(f.forked, key) // a revoked device forks nothing
		d := *f.s.Device(key)
		marks := d.Marks()
		marks.Revoked, marks.Spared = f.Step.Height, nil
		d.mark(marks)
		f.s.devices = f.s.devices.Put(key, &d)
		for _, o := range f.Records {
			if o.Header().Key == key {
				f.strike(o, RuleCut, "The persona's guardians gave it another key; its devices are revoked.")
			}
		}
	}
	c, heir := *m, supports[0].Heir
	c.Keys.Key, c.Keys.Next, c.Keys.Chain = heir.Key, heir.Next, Chain{}
	c.Keys.Given, c.Keys.Recovery = true, nil
	for _, x := range supports {
		c.Because = appendBounded(c.Because, protocol.Cause{Rule: RuleSupport, Record: x.Record}, maxReasons)
	}
	why := protocol.Reason{Rule: RuleRecovered, Record: supports[0].Record}
	if c.Standing() == Frozen {
		standing, until := m.thawed(f.Step.AsOf, f.Charter.Suspend)
		c.Until = until
		n := c.with(f.Step, standing, why)
		n.Spans[len(n.Spans)-1].Alone = standing == Suspended && m.Spans[max(0, len(m.Spans)-2)].Alone
		f.s = f.s.put(n)
		return
	}
	c.Because = appendBounded(c.Because, why.Cause(), maxReasons)
	f.s = f.s.put(&c)
}

// thawed is the standing that a frozen persona had, and until when if that is a
// suspension which is not over.
func (m *Member) thawed(asOf, suspend int64) (s Standing, until int64) {
	for _, span := range slices.Backward(m.Spans) {
		switch {
		case span.Standing == Pending:
			return Pending, 0
		case span.Standing == Suspended && span.AsOf+suspend > asOf:
			return Suspended, span.AsOf + suspend
		case span.Standing != Frozen:
			return Full, 0
		}
	}
	return Full, 0
}

// nextRecovery is how much checkpoint time is left, at most a day of it, until
// clerks have a checkpoint to make because a recovery runs.
func (s State) nextRecovery() (left int64, ok bool) {
	due, _, ok := s.matures.Next()
	return min(due-s.clock, dailyGap), ok
}
