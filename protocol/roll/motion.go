package roll

import (
	"slices"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/dagcbor"
)

// Bounds on motions.
const (
	MaxMotions = 8              // of one member that wait for endorsements
	MotionLife = 30 * 24 * 3600 // seconds of checkpoint time
	minBody    = 3              // endorsements by which holders of an office decide about one of them
)

// A Motion is an act that several must endorse, and who did so far. It is
// immutable.
type Motion struct {
	Kind      protocol.Kind
	By        protocol.ID // the author, first to endorse
	Height    uint64      // of the checkpoint that the act cites
	Expires   int64       // checkpoint time
	Endorsers []protocol.ID

	Restrict RestrictBody // of suspend and expel
	Appoint  AppointBody  // of appoint
	Recall   RecallBody   // of recall
}

// AppendLeaf encodes the motion for the state root. The act's record says what
// it asks for.
func (m *Motion) AppendLeaf(b []byte) []byte {
	return append(b, dagcbor.Encode(struct {
		Kind      protocol.Kind `cbor:"kind"`
		By        protocol.ID   `cbor:"by"`
		Height    uint64        `cbor:"height"`
		Expires   int64         `cbor:"expires"`
		Endorsers []protocol.ID `cbor:"endorsers"`
	}{m.Kind, m.By, m.Height, m.Expires, m.Endorsers})...)
}

// restricting reports whether the act only takes power. Such acts and their
// endorsements stand whatever becomes of who signed them, so that nobody stops
// a majority by being faster (SPEC §5.6).
func (m *Motion) restricting() bool { return m.Kind != protocol.Appoint }

// Voices reports whether records of a kind ask no more of their author than a
// voice: what takes power, and evidence.
func Voices(kind protocol.Kind) bool {
	switch kind {
	case protocol.Suspend, protocol.Expel, protocol.Recall, protocol.Endorse, protocol.Evidence:
		return true
	}
	return false
}

// Target is the persona that the act is about, zero if it is about an office.
func (m *Motion) Target() protocol.ID { return m.Restrict.Persona }

// A Tally is how far a motion has come.
type Tally struct {
	Roll, RollNeeds uint64 // endorsements by members, and how many are enough
	Body, BodyNeeds uint64 // by those who hold the target's office; 0 needed: there is no such way
}

// Enough reports whether the motion is a certificate.
func (t Tally) Enough() bool {
	return t.Roll >= t.RollNeeds || t.BodyNeeds > 0 && t.Body >= t.BodyNeeds
}

// Count counts the endorsements that count on this roll: more than half of it
// carry any motion. Of a suspension or expulsion of an officer so do more than
// half of the others in the same office, at least three of them; a clerk's
// office goes before others. The target has no say.
func (s State) Count(m *Motion) Tally {
	t := Tally{RollNeeds: s.belong/2 + 1}
	for _, p := range m.Endorsers {
		if p != m.Target() && s.Member(p).Voice() {
			t.Roll++
		}
	}
	target := s.Member(m.Target())
	if target == nil {
		return t
	}
	var size uint64
	for _, p := range s.officers {
		if o := s.Member(p); p != m.Target() && colleagues(o, target) {
			size++
			if o.Voice() && slices.Contains(m.Endorsers, p) {
				t.Body++
			}
		}
	}
	if size >= minBody {
		t.BodyNeeds = max(size/2+1, minBody)
	}
	return t
}

// colleagues reports whether o belongs to the body that judges an officer.
func colleagues(o, target *Member) bool {
	if target.Holds(Clerk) {
		return o.Holds(Clerk)
	}
	return slices.ContainsFunc(target.OfficeNames(), o.Holds)
}

// motions finds the acts of the batch that need endorsements, joins them with
// those that wait in the base, and adds the batch's endorsements. A motion that
// has enough is a certificate. Only the base says who counts.
func (f *fold) findMotions() {
	f.motions = map[protocol.ID]*Motion{}
	for _, r := range f.Records {
		if m := f.motion(r); m != nil {
			f.motions[r.ID()] = m
		}
	}
	for _, r := range f.Records {
		if r.Kind() != protocol.Endorse {
			continue
		}
		body, err := protocol.Body[EndorseBody](r)
		if err != nil {
			f.strike(r, RuleMalformed, "An endorsement names an act.")
			continue
		}
		m := f.motions[body.Act]
		if m == nil {
			m = f.Base.Motion(body.Act)
		}
		switch a, ok := f.author(r); {
		case m == nil:
			f.strike(r, RulePower, "It endorses nothing that waits for endorsements.")
		case !ok || !a.Voice() || !m.restricting() && a.Rank() == RankNone:
			f.strike(r, RulePower, "Only members endorse.")
		case m.restricting():
			f.verdicts[r.ID()] = protocol.Stand(r, RuleEndorse, "A member endorsed it.")
			f.endorse(body.Act, m, r.Author())
		}
	}
}

// endorsements adds those of acts that give power, once it is known which were
// cut.
func (f *fold) endorsements() {
	f.each(protocol.Endorse, func(r *protocol.Record) (protocol.Verdict, bool) {
		body, _ := protocol.Body[EndorseBody](r)
		m := f.motions[body.Act]
		if m == nil {
			m = f.Base.Motion(body.Act)
		}
		if v, ok := f.verdicts[body.Act]; ok && !v.Stands {
			return noPower(r, "It endorses an act that is void."), true
		}
		f.endorse(body.Act, m, r.Author())
		return protocol.Stand(r, RuleEndorse, "A member endorsed it."), true
	})
}

// endorse adds an endorser to a motion of this batch or of the base.
func (f *fold) endorse(act protocol.ID, m *Motion, by protocol.ID) {
	c := *m
	c.Endorsers = setMember(m.Endorsers, by, true)
	f.motions[act] = &c
}

// motion is the motion that a record makes, nil if it makes none: its author is
// no member, or the act is not one that members can endorse.
func (f *fold) motion(r *protocol.Record) *Motion {
	switch r.Kind() {
	case protocol.Suspend, protocol.Expel, protocol.Recall, protocol.Appoint:
	default:
		return nil
	}
	a, ok := f.author(r)
	if !ok || !a.Voice() || r.Kind() == protocol.Appoint && a.Rank() == RankNone {
		return nil
	}
	m := &Motion{
		Kind: r.Kind(), By: r.Author(), Height: r.Header().Checkpoint.Height,
		Expires: f.Step.AsOf + MotionLife, Endorsers: []protocol.ID{r.Author()},
	}
	switch r.Kind() {
	case protocol.Appoint:
		body, v := f.appointment(r)
		if !v.Stands {
			return nil
		}
		m.Appoint = body
	case protocol.Recall:
		body, v := f.recall(r)
		if !v.Stands {
			return nil
		}
		m.Recall = body
	default:
		body, v := f.restriction(r)
		if !v.Stands {
			return nil
		}
		m.Restrict = body
	}
	return m
}

// certificates are the motions of the batch, and those of the base that it
// endorses, that have enough endorsements, by act.
func (f *fold) certificates(kinds ...protocol.Kind) (acts []protocol.ID) {
	for act, m := range f.motions {
		late := !m.Recall.From.IsZero() && m.Height+1 != f.Step.Height
		if slices.Contains(kinds, m.Kind) && !late && f.Base.Count(m).Enough() {
			acts = append(acts, act)
		}
	}
	slices.SortFunc(acts, protocol.ID.Compare)
	return acts
}

// keepMotions stores those that wait on, and drops those done or lapsed.
func (f *fold) keepMotions() {
	for act, m := range f.motions {
		if f.done[act] {
			f.s = f.s.dropMotion(act)
			continue
		}
		if v, ok := f.verdicts[act]; ok && !v.Stands {
			continue // cut or forked, and no certificate
		}
		f.s = f.s.putMotion(act, m)
	}
	for {
		at, act, ok := f.s.lapses.Next()
		if !ok || at > f.Step.AsOf {
			return
		}
		f.s = f.s.dropMotion(act)
	}
}

func (s State) putMotion(act protocol.ID, m *Motion) State {
	if s.Motion(act) == nil {
		s.lapses = s.lapses.Move(act, 0, m.Expires)
		c := *s.Member(m.By)
		used := c.Quota()
		used.Motions = setMember(used.Motions, act, true)
		c.use(used)
		s = s.put(&c)
	}
	s.motions = s.motions.Put(act, m)
	return s
}

func (s State) dropMotion(act protocol.ID) State {
	m := s.Motion(act)
	if m == nil {
		return s
	}
	s.lapses = s.lapses.Move(act, m.Expires, 0)
	s.motions = s.motions.Delete(act)
	c := *s.Member(m.By)
	used := c.Quota()
	used.Motions = setMember(used.Motions, act, false)
	c.use(used)
	return s.put(&c)
}
