package roll

import (
	"slices"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/protocol"
)

// rotating are the rotations of each persona to the key that it committed to,
// judged in the base. Others are void. A persona that was removed rotates while
// its guardians want another key, so that it can veto that.
func (f *fold) rotating() map[protocol.ID][]*protocol.Record {
	list := map[protocol.ID][]*protocol.Record{}
	f.each(protocol.Rotate, func(r *protocol.Record) (protocol.Verdict, bool) {
		body, err := protocol.Body[RotateBody](r)
		h := r.Header()
		if err != nil || body.Validate() != nil || len(h.Cosigners) != 0 || h.Seq != 0 {
			return protocol.Void(r, RuleMalformed, "A rotation begins a key's chain and commits to the key after it."), true
		}
		m := f.Base.Member(h.Persona)
		if m == nil || m.Removed() && m.Keys.Recovery == nil || identity.Commit(h.Key) != m.Keys.Next {
			return noPower(r, "A rotation is signed by the key that the persona committed to."), true
		}
		list[h.Persona] = append(list[h.Persona], r)
		return protocol.Verdict{}, false
	})
	return list
}

// rotations moves personas on to the key that they committed to, with a chain
// of its own, and vetoes what guardians wanted. Two rotations of one persona in
// a batch show that somebody else has that key too: the persona is frozen until
// its guardians decide, and no key rotates it any more (SPEC §5.4).
func (f *fold) rotations() {
	for persona, list := range f.rotating() {
		c := *f.s.Member(persona)
		if len(list) > 1 {
			for _, r := range list {
				f.verdicts[r.ID()] = protocol.Void(r, RuleRivals, "The persona's next key signed two different rotations; the persona is frozen.")
			}
			if c.Keys.Key != f.Base.Member(persona).Keys.Key {
				continue // its guardians gave it another key just now
			}
			f.frozen[persona] = list[0].ID()
			c.Keys.Next = identity.Digest{}
			f.s = f.s.put(&c)
			continue
		}
		r := list[0]
		body, _ := protocol.Body[RotateBody](r)
		c.Keys.Key, c.Keys.Next, c.Keys.Given = r.Header().Key, body.Next, false
		c.Keys.Chain = Chain{Next: 1, Head: r.ID()}
		if body.Guardians != nil {
			c.Keys.Guard = body.Guardians
		}
		if c.Keys.Recovery != nil {
			c.Keys.Recovery = nil
			c.Because = appendBounded(c.Because, protocol.Cause{Rule: RuleVeto, Record: r.ID()}, maxReasons)
		}
		f.s = f.s.put(&c)
		f.verdicts[r.ID()] = protocol.Stand(r, RuleRotate, "The persona moved on to the key that it had committed to.")
	}
}

// revocations take devices' right to sign, and strike out what the revocation
// does not let stand.
func (f *fold) revocations() {
	f.each(protocol.Revoke, func(r *protocol.Record) (protocol.Verdict, bool) {
		body, err := protocol.Body[RevokeBody](r)
		h := r.Header()
		if err != nil || body.Validate() != nil || len(h.Cosigners) != 0 {
			return protocol.Void(r, RuleMalformed, "A revocation names a device and what of it stands."), true
		}
		m, d := f.Base.Member(h.Persona), f.Base.Device(body.Cut.Device)
		if m == nil || h.Key != m.Keys.Key || d == nil || d.Persona != h.Persona || d.Marks().Revoked != 0 {
			return noPower(r, "A device is revoked by the current key of its persona."), true
		}
		var c cut
		c.add(f, r.ID(), []Place{body.Cut})
		for _, o := range f.Records {
			if o.Header().Key == body.Cut.Device && o.Header().Seq >= max(c.next[body.Cut.Device], d.Chain.Next) {
				f.strike(o, RuleCut, "The device was revoked, and this is after the cut.")
			}
		}
		f.revoked[body.Cut.Device] = append(f.revoked[body.Cut.Device], body.Spare...)
		return protocol.Stand(r, RuleRevokeDevice, "The persona took the device's right to sign."), true
	})
	for key, spared := range f.revoked {
		d := *f.s.Device(key)
		slices.SortFunc(spared, protocol.ID.Compare)
		marks := d.Marks()
		marks.Revoked, marks.Spared = f.Step.Height, slices.Compact(spared)
		if len(marks.Spared) > MaxSpared {
			marks.Spared = marks.Spared[:MaxSpared]
		}
		d.mark(marks)
		f.s.devices = f.s.devices.Put(key, &d)
	}
}

// personaChains applies grants, and moves chains past revocations, in the order
// in which they follow each other.
func (f *fold) personaChains() {
	for _, r := range f.Records {
		h := r.Header()
		switch {
		case r.Kind() == protocol.Grant && !f.struck(r):
			f.verdicts[r.ID()] = f.grant(r)
		case r.Kind() == protocol.Revoke && f.verdicts[r.ID()].Stands:
			if m := f.s.Member(h.Persona); h.Key == m.Keys.Key && h.Seq == m.Keys.Chain.Next && h.Prev == m.Keys.Chain.Head {
				c := *m
				c.Keys.Chain = m.Keys.Chain.past(r, f.Step.AsOf)
				f.s = f.s.put(&c)
			}
		}
	}
}

// grant lets a device sign for a persona. It is signed by the persona's key
// and by the device, and follows the persona's last key record.
func (f *fold) grant(r *protocol.Record) protocol.Verdict {
	m := f.s.Member(r.Header().Persona)
	if m == nil || m.Removed() || m.Standing() == Frozen {
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
	if h.Key != m.Keys.Key || h.Persona != m.Persona || h.Seq != m.Keys.Chain.Next || h.Prev != m.Keys.Chain.Head {
		return m, keyedDevice{}, noPower(r, "A grant is signed by the persona's current key, next in its chain.")
	}
	if f.s.Device(body.Device) != nil || f.rivals[r.ID()] {
		return m, keyedDevice{}, noPower(r, "A device key is granted once, and by one record at each place of the chain.")
	}
	c := *m
	c.Keys.Chain = m.Keys.Chain.past(r, f.Step.AsOf)
	live := slices.DeleteFunc(slices.Clone(m.Devices), func(k identity.PublicKey) bool { return !f.s.Device(k).Live(f.AsOf) })
	if len(live) >= MaxDevices {
		return m, keyedDevice{}, noPower(r, "A persona has at most eight live devices.")
	}
	c.Devices = slices.Concat(live, []identity.PublicKey{body.Device})
	d := &Device{
		Persona: m.Persona, Grant: r.ID(), Height: f.Step.Height,
		Expires: min(body.Expires, f.Step.AsOf+identity.MaxGrantLife),
	}
	return &c, keyedDevice{body.Device, d}, protocol.Stand(r, RuleGrant, "The persona's key lets this device sign.")
}

// rivalGrants are the grants of a batch, alone or carried, of which another
// grants the same device, or a record stands at the same place of the same
// persona's chain. Neither stands: whoever holds the keys can say again what they mean.
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
			if g.Kind() == protocol.Revoke {
				claim(g, place{h.Key, int64(h.Seq)})
			}
			if g.Kind() != protocol.Grant || len(h.Cosigners) != 1 {
				continue
			}
			claim(g, place{h.Key, int64(h.Seq)})
			claim(g, place{h.Cosigners[0], -1})
		}
	}
	return rivals
}

// advanceChains moves each chain to the last record of it that the step covers,
// whatever the record's effect, so that a place that is final is so for good. A
// device's chain begins once its grant is final.
func (f *fold) advanceChains() {
	for _, r := range f.Records {
		h := r.Header()
		if r.Kind() == protocol.Grant || r.Kind() == protocol.Revoke {
			if m := f.s.Member(h.Persona); m != nil && m.Keys.Key == h.Key && h.Seq >= m.Keys.Chain.Next {
				c := *m
				c.Keys.Chain = m.Keys.Chain.past(r, f.Step.AsOf)
				f.s = f.s.put(&c)
			}
			continue
		}
		d := f.s.Device(h.Key)
		if f.Base.Device(h.Key) == nil || h.Seq < d.Chain.Next || d.Marks().Forked {
			continue
		}
		c := *d
		c.Chain = d.Chain.past(r, f.Step.AsOf)
		f.s.devices = f.s.devices.Put(h.Key, &c)
	}
}
