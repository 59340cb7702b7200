package roll

import (
	"slices"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/charter"
)

// Rules that the roll cites (SPEC §5).
const (
	RuleFounder   protocol.Rule = "founder"
	RuleInvite    protocol.Rule = "admit/invite"
	RuleByName    protocol.Rule = "admit/name"
	RulePending   protocol.Rule = "admit/pending"
	RuleUses      protocol.Rule = "invite/uses"
	RuleGrant     protocol.Rule = "device/grant"
	RuleOffer     protocol.Rule = "invite/open"
	RuleRevoke    protocol.Rule = "invite/revoke"
	RuleAppoint   protocol.Rule = "office/appoint"
	RuleSuspend   protocol.Rule = "suspend"
	RuleLapse     protocol.Rule = "suspend/lapse"
	RuleLeave     protocol.Rule = "leave"
	RuleFork      protocol.Rule = "equivocation"
	RuleCut       protocol.Rule = "cut"
	RulePower     protocol.Rule = "power"
	RuleMalformed protocol.Rule = "malformed"
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
	s        State
	verdicts map[protocol.ID]protocol.Verdict
	forked   map[identity.PublicKey]protocol.ID // devices found to fork, and the proof
	rivals   map[protocol.ID]bool               // grants of which another claims the same device or place
	byAuthor map[protocol.ID][]*protocol.Record
	revokes  map[protocol.ID][]protocol.ID // of invites, those that stand
}

// Apply returns the roll after the batch, and a verdict on each record in the
// order given. It is total: a record without power, or whose body says
// nothing, is void.
func Apply(b Batch) (State, []protocol.Verdict) {
	f := &fold{
		Batch: b, s: b.Base, verdicts: map[protocol.ID]protocol.Verdict{}, forked: map[identity.PublicKey]protocol.ID{},
		rivals: rivalGrants(b.Records), byAuthor: map[protocol.ID][]*protocol.Record{}, revokes: map[protocol.ID][]protocol.ID{},
	}
	for _, r := range b.Records {
		f.byAuthor[r.Author()] = append(f.byAuthor[r.Author()], r)
	}
	f.strikeForks()
	restrictions := f.restrictions()
	f.each(protocol.Inception, always(f.inception))
	f.each(protocol.Grant, always(f.grant))
	f.each(protocol.Invite, always(f.invite))
	f.each(protocol.InviteRevoke, always(f.inviteRevoke))
	f.admissions()
	f.appointments()
	f.restrict(restrictions)
	f.advanceChains()
	f.lapse()
	f.s = f.s.seatClerks(b.Step.AsOf)
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
	m.Founder = true
	m.Offices = []string{Clerk}
	f.s = f.s.put(m.with(f.Step, Full, why.Reason))
	return why
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
		Persona: inception.ID(), Name: body.Name, Key: inception.Header().Key, Next: body.Next,
		Chain: Chain{Next: 1, Head: inception.ID()},
	}
}

// grant lets a device sign for a persona. It is signed by the persona's key
// and by the device, and follows the persona's last key record.
func (f *fold) grant(r *protocol.Record) protocol.Verdict {
	m := f.s.Member(r.Header().Persona)
	if m == nil || m.Standing() == Expelled || m.Standing() == Left {
		return noPower(r, "Only a persona on the roll can grant a device.")
	}
	next, dev, v := f.granted(m, r)
	if v.Stands {
		f.s = f.s.put(next)
		f.s.devices = f.s.devices.Put(dev.key, dev.Device)
	}
	return v
}

type keyedDevice struct {
	key identity.PublicKey
	*Device
}

// granted is what a grant makes of a member.
func (f *fold) granted(m *Member, r *protocol.Record) (*Member, keyedDevice, protocol.Verdict) {
	h := r.Header()
	body, err := protocol.Body[identity.Grant](r)
	if err != nil || body.Validate() != nil || len(h.Cosigners) != 1 || h.Cosigners[0] != body.Device {
		return m, keyedDevice{}, protocol.Void(r, RuleMalformed, "A grant is signed by the persona's key and by the device that it names.")
	}
	if h.Key != m.Key || h.Persona != m.Persona || h.Seq != m.Chain.Next || h.Prev != m.Chain.Head {
		return m, keyedDevice{}, noPower(r, "A grant is signed by the persona's current key, next in its chain.")
	}
	if f.s.Device(body.Device) != nil || f.rivals[r.ID()] {
		return m, keyedDevice{}, noPower(r, "A device key is granted once, and by one record at each place of the chain.")
	}
	c := *m
	c.Chain = Chain{Next: h.Seq + 1, Head: r.ID()}
	c.Devices = slices.DeleteFunc(slices.Clone(m.Devices), func(k identity.PublicKey) bool { return !f.s.Device(k).Live(f.AsOf) })
	if len(c.Devices) >= MaxDevices {
		return m, keyedDevice{}, noPower(r, "A persona has at most eight live devices.")
	}
	c.Devices = append(c.Devices, body.Device)
	d := &Device{
		Persona: m.Persona, Grant: r.ID(), Height: f.Step.Height,
		Expires: min(body.Expires, f.Step.AsOf+identity.MaxGrantLife),
	}
	return &c, keyedDevice{body.Device, d}, protocol.Stand(r, RuleGrant, "The persona's key lets this device sign.")
}

// rivalGrants are the grants of a batch, alone or carried, of which another
// grants the same device, or stands at the same place of the same persona's
// chain. Neither stands: whoever holds the keys can say again what they mean.
func rivalGrants(records []*protocol.Record) map[protocol.ID]bool {
	type place struct {
		key identity.PublicKey
		seq int64 // −1: a device named in a grant
	}
	first, rivals := map[place]protocol.ID{}, map[protocol.ID]bool{}
	claim := func(r *protocol.Record, at place) {
		if was, ok := first[at]; !ok {
			first[at] = r.ID()
		} else if was != r.ID() {
			rivals[was], rivals[r.ID()] = true, true
		}
	}
	for _, r := range records {
		for _, g := range append([]*protocol.Record{r}, r.Carried()...) {
			h := g.Header()
			if g.Kind() != protocol.Grant || len(h.Cosigners) != 1 {
				continue
			}
			claim(g, place{h.Key, int64(h.Seq)})
			claim(g, place{h.Cosigners[0], -1})
		}
	}
	return rivals
}

// advanceChains moves each device's chain to the last record of it that the
// step covers, whatever the record's effect. A device's chain begins once its
// grant is final.
func (f *fold) advanceChains() {
	for _, r := range f.Records {
		h := r.Header()
		d := f.s.Device(h.Key)
		if f.Base.Device(h.Key) == nil || h.Seq < d.Chain.Next || d.Forked {
			continue
		}
		c := *d
		c.Chain = Chain{Next: h.Seq + 1, Head: r.ID()}
		f.s.devices = f.s.devices.Put(h.Key, &c)
	}
}

// lapse restores those whose suspension has run out.
func (f *fold) lapse() {
	for {
		at, persona, ok := f.s.lapses.Next()
		if !ok || at > f.Step.AsOf {
			return
		}
		c := *f.s.Member(persona)
		c.Until = 0
		f.s = f.s.put(c.with(f.Step, Full, protocol.Reason{Rule: RuleLapse}))
	}
}
