package roll

import (
	"slices"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/charter"
)

// A Batch is what one step applies: control records whose ancestors are all in
// the base or in the batch. No verdict depends on the order of records that
// don't follow from one another; the order of the reasons kept does, so
// Records come in the one order that state.Advance gives a set, parents first.
type Batch struct {
	Base    State // the final state: only it confers power
	AsOf    int64 // checkpoint time of Base
	Step    Step
	Charter *charter.Charter
	Records []*protocol.Record
	// Past reports whether the record named first is an ancestor, inside the
	// batch, of the second.
	Past func(ancestor, of protocol.ID) bool
}

// A fold is one application of a batch.
type fold struct {
	Batch
	s         State
	verdicts  map[protocol.ID]protocol.Verdict
	headers   map[protocol.ID]protocol.Header // of the batch's control records
	byAuthor  map[protocol.ID][]*protocol.Record
	motions   map[protocol.ID]*Motion            // of the batch, and those of the base that it endorses
	done      map[protocol.ID]bool               // motions that took effect
	sentenced map[protocol.ID]bool               // targets of certificates
	forked    map[identity.PublicKey]protocol.ID // devices found to fork, and the proof
	frozen    map[protocol.ID]protocol.ID        // personas with rival rotations, and one of them
	revoked   map[identity.PublicKey][]protocol.ID
	rivals    map[protocol.ID]bool          // grants of which another claims the same device or place
	revokes   map[protocol.ID][]protocol.ID // of invites, those that stand
}

// Apply returns the roll after the batch, and a verdict on each record in the
// order given. It is total: a record without power, or whose body says
// nothing, is void.
func Apply(b Batch) (State, []protocol.Verdict) {
	f := &fold{
		Batch: b, s: b.Base, verdicts: map[protocol.ID]protocol.Verdict{}, headers: map[protocol.ID]protocol.Header{},
		byAuthor: map[protocol.ID][]*protocol.Record{}, done: map[protocol.ID]bool{}, sentenced: map[protocol.ID]bool{},
		forked: map[identity.PublicKey]protocol.ID{}, frozen: map[protocol.ID]protocol.ID{},
		revoked: map[identity.PublicKey][]protocol.ID{}, rivals: rivalGrants(b.Records), revokes: map[protocol.ID][]protocol.ID{},
	}
	for _, r := range b.Records {
		f.headers[r.ID()] = r.Header()
		f.byAuthor[r.Author()] = append(f.byAuthor[r.Author()], r)
	}
	// What takes power, the gravest first. Nothing below gives any before the
	// next checkpoint, so this order decides everything there is to decide.
	f.s.recalled = nil
	f.s.clock += min(b.Step.AsOf-b.AsOf, dailyGap)
	f.findMotions()
	sentences, cuts := f.certified()
	f.recalls()
	sentences = append(sentences, f.convictions()...)
	f.waiting(func(r *protocol.Record) bool {
		k := r.Kind()
		return k == protocol.Expel || k == protocol.Recall || k == protocol.Suspend && !f.dominates(r)
	})
	f.cutAll(cuts)
	f.strikeForks()
	f.revocations()
	f.recoveries()
	sentences = append(sentences, f.alone()...)
	// What gives.
	f.each(protocol.Inception, always(f.inception))
	f.rotations()
	f.personaChains()
	f.each(protocol.Invite, always(f.invite))
	f.each(protocol.InviteRevoke, always(f.inviteRevoke))
	f.admissions()
	f.endorsements()
	f.appointments()
	f.waiting(func(r *protocol.Record) bool { return r.Kind() == protocol.Appoint })
	f.duties()
	// What follows.
	f.carryOut(sentences)
	f.advanceChains()
	f.keepMotions()
	f.lapse()
	verdicts := make([]protocol.Verdict, 0, len(b.Records))
	for _, r := range b.Records {
		if v, ok := f.verdicts[r.ID()]; ok {
			verdicts = append(verdicts, v)
		}
	}
	return f.s, verdicts
}

// each applies a rule to the batch's records of a kind that no rule has
// decided yet, and keeps its verdict if it gives one.
func (f *fold) each(kind protocol.Kind, apply func(*protocol.Record) (protocol.Verdict, bool)) {
	for _, r := range f.Records {
		if r.Kind() != kind || f.struck(r) {
			continue
		}
		if v, decided := apply(r); decided {
			f.verdicts[r.ID()] = v
		}
	}
}

// always makes a rule that decides every record it is applied to.
func always(rule func(*protocol.Record) protocol.Verdict) func(*protocol.Record) (protocol.Verdict, bool) {
	return func(r *protocol.Record) (protocol.Verdict, bool) { return rule(r), true }
}

// author is the member who made r with a device of theirs, judged in the base:
// what is not final confers no power (SPEC §4.2, rule 1).
func (b *Batch) author(r *protocol.Record) (*Member, bool) {
	h := r.Header()
	d := b.Base.Device(h.Key)
	if d == nil || d.Persona != h.Persona || !d.Live(b.AsOf) {
		return nil, false
	}
	m := b.Base.Member(h.Persona)
	return m, m != nil
}

// power is the author's rank in the base.
func (b *Batch) power(r *protocol.Record) int {
	m, ok := b.author(r)
	if !ok {
		return RankNone
	}
	return m.Rank()
}

func noPower(r *protocol.Record, text string) protocol.Verdict {
	return protocol.Void(r, RulePower, text)
}

// Authorised reports whether the device that signed r was, at the last final
// checkpoint, a live device of a member in full standing.
func (b *Batch) Authorised(r *protocol.Record) bool { return b.power(r) >= RankMember }

// inception admits a founder: its co-signer is a founding key of the genesis.
// Other inceptions come carried in an admission.
func (f *fold) inception(r *protocol.Record) protocol.Verdict {
	body, err := protocol.Body[identity.Inception](r)
	h := r.Header()
	if err != nil || body.Validate() != nil || len(h.Cosigners) != 1 || h.Seq != 0 {
		return protocol.Void(r, RuleMalformed, "This inception is not of the shape the protocol asks for.")
	}
	i := slices.IndexFunc(f.s.founders, func(x founder) bool { return x.Key == h.Cosigners[0] })
	if i < 0 {
		return noPower(r, "An inception outside an admission must be signed by a founding key.")
	}
	if f.rivalInception(r) || !f.s.founders[i].Persona.IsZero() {
		return noPower(r, "A founding key brings in one founder, and this one was used twice.")
	}
	if f.s.Member(r.ID()) != nil {
		return noPower(r, "The persona is on the roll already.")
	}
	why := protocol.Stand(r, RuleFounder, "Founders are members and clerks from the first checkpoint on.")
	f.s.founders = slices.Clone(f.s.founders)
	f.s.founders[i].Persona = r.ID()
	m := newMember(r, body)
	post := Post{Founder: true}
	if f.seatsFounders() {
		post.Offices = []Holding{{Office: Clerk, Record: r.ID(), Since: f.Step.AsOf, Until: f.term(Clerk), Alone: len(f.s.founders) == 1}}
	}
	m.setPost(post)
	f.s = f.s.put(m.with(f.Step, Full, why.Reason))
	return why
}

// seatsFounders reports whether founders who come in this batch are clerks: at the
// first checkpoint all are. Who comes later finds a seat, or is a member like
// others, so that no forgotten founding key makes more clerks than can sign.
func (f *fold) seatsFounders() bool {
	if f.Base.Whole() == 0 {
		return true
	}
	holders := map[protocol.ID]bool{}
	for _, p := range slices.Concat(f.Base.Holders(Clerk), f.s.Holders(Clerk)) {
		holders[p] = true
	}
	for _, r := range f.Records {
		if r.Kind() == protocol.Inception {
			holders[r.ID()] = true
		}
	}
	office, _ := f.Charter.Office(Clerk)
	return uint64(len(holders)) <= office.Seats
}

// rivalInception reports whether another inception of the batch has r's
// founding key.
func (f *fold) rivalInception(r *protocol.Record) bool {
	return slices.ContainsFunc(f.Records, func(o *protocol.Record) bool {
		return o.Kind() == protocol.Inception && o.ID() != r.ID() &&
			slices.Equal(o.Header().Cosigners, r.Header().Cosigners)
	})
}

func newMember(inception *protocol.Record, body identity.Inception) *Member {
	return &Member{
		Persona: inception.ID(), Name: body.Name,
		Keys: Keys{Key: inception.Header().Key, Next: body.Next, Chain: Chain{Next: 1, Head: inception.ID()}, Guard: body.Guardians},
	}
}

// lapse ends the suspensions and terms that have run out.
func (f *fold) lapse() {
	for {
		at, persona, ok := f.s.timers.Next()
		if !ok || at > f.Step.AsOf {
			return
		}
		m := f.s.Member(persona)
		if m.Until != 0 && m.Until <= f.Step.AsOf {
			c := *m
			c.Until = 0
			f.s = f.s.put(c.with(f.Step, Full, protocol.Reason{Rule: RuleLapse}))
			continue
		}
		f.s = f.s.endTerms(m, f.Step)
	}
}

// endTerms takes the offices whose term is over. A clerk goes on signing until
// there is a successor: a community that forgot an election is not to stop.
func (s State) endTerms(m *Member, at Step) State {
	c := *m
	var left []Holding
	for _, h := range m.Offices() {
		over := h.Until != 0 && h.Until <= at.AsOf && !h.Over
		if over {
			c.Because = appendBounded(c.Because, protocol.Cause{Rule: RuleTerm, Record: h.Record}, maxReasons)
		}
		if over && h.Office != Clerk {
			continue
		}
		h.Over = h.Over || over
		left = append(left, h)
	}
	c.hold(left)
	return s.put(&c)
}
