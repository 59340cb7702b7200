package roll

import (
	"bytes"
	"errors"
	"slices"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/protocol"
)

// maxEras bounds the sets of successors kept for judging evidence, newest last.
const maxEras = 32

// An Era is who could sign checkpoints under a recall that was carried out.
type Era struct {
	Recall protocol.ID `cbor:"e"`
	Clerks []Clerkship `cbor:"c"`
}

// EvidenceBody is proof that a clerk signed two different things at one place of
// the agreement (SPEC §7.5). Claims rise by value, then valid round.
type EvidenceBody struct {
	Key    identity.PublicKey `cbor:"key"` // the clerk's device
	Kind   uint8              `cbor:"kind"`
	Height uint64             `cbor:"height"`
	Round  uint32             `cbor:"round"`
	Claims []Claim            `cbor:"claims"`     // two
	Era    protocol.ID        `cbor:"e,omitzero"` // the era in which it was signed: a recall
}

// A Claim is one of the things signed.
type Claim struct {
	Value []byte `cbor:"v"`           // 32; zeros: nil
	Valid uint32 `cbor:"l,omitempty"` // valid round + 1, of a proposal
	Sig   []byte `cbor:"s"`
}

// Validate checks the form, and both signatures.
func (b EvidenceBody) Validate(metastate protocol.ID) error {
	if len(b.Claims) != 2 || b.Height == 0 || b.Kind < protocol.AgreeProposal || b.Kind > protocol.AgreePrecommit {
		return errors.New("roll: evidence is two claims of one kind and height")
	}
	x, y := b.Claims[0], b.Claims[1]
	if c := bytes.Compare(x.Value, y.Value); c > 0 || c == 0 && x.Valid >= y.Valid {
		return errors.New("roll: claims are equal or not in order")
	}
	for _, c := range b.Claims {
		if len(c.Value) != len(protocol.ID{}) || b.Kind != protocol.AgreeProposal && c.Valid != 0 {
			return errors.New("roll: a claim of another kind")
		}
		s := protocol.Statement{
			Kind: b.Kind, Height: b.Height, Round: b.Round, Value: protocol.ID(c.Value), ValidRound: int64(c.Valid) - 1,
			Era: b.Era,
		}
		if !identity.Verify(b.Key, s.Bytes(metastate), c.Sig) {
			return errors.New("roll: the clerk did not sign a claim")
		}
	}
	return nil
}

// convictions suspends clerks who signed twice, and takes their office: the next
// checkpoint is signed without them. Evidence proves itself, so nothing that is
// done to who brings it keeps it back.
func (f *fold) convictions() (list []sentence) {
	f.each(protocol.Evidence, func(r *protocol.Record) (protocol.Verdict, bool) {
		body, err := protocol.Body[EvidenceBody](r)
		if err != nil || body.Validate(r.Header().Metastate) != nil {
			return protocol.Void(r, RuleMalformed, "This proves nothing against a clerk."), true
		}
		if a, ok := f.author(r); !ok || !a.Voice() {
			return noPower(r, "Only members bring evidence."), true
		}
		persona, ok := f.s.Signer(body) // recalls of this batch tell too whom they named
		if !ok {
			return noPower(r, "Nobody signed checkpoints with this key at that height."), true
		}
		if body.Height < f.Base.Device(body.Key).Marks().Signs.Judged {
			return noPower(r, "The clerk was judged for it already."), true
		}
		v := protocol.Stand(r, RuleDouble, "The clerk signed two different things at one place of the agreement.")
		list = append(list, sentence{persona, r.ID(), Suspended, v.Reason})
		d := *f.s.Device(body.Key)
		marks := d.Marks()
		marks.Signs.Judged = f.Step.Height + 1
		d.mark(marks)
		f.s.devices = f.s.devices.Put(body.Key, &d)
		return v, true
	})
	for _, s := range list {
		f.s = f.s.take(s.target, Clerk, s.why)
	}
	return list
}

// Signer is the persona that could sign with the key that evidence names, at its
// height or as a successor by its recall.
func (s State) Signer(b EvidenceBody) (persona protocol.ID, ok bool) {
	for _, e := range s.eras {
		i := slices.IndexFunc(e.Clerks, func(c Clerkship) bool { return c.Key == b.Key })
		if e.Recall == b.Era && i >= 0 {
			return e.Clerks[i].Persona, true
		}
	}
	return s.clerkAt(b.Height, b.Key)
}

// clerkAt is the persona that signed checkpoints at a height with a key.
func (s State) clerkAt(height uint64, key identity.PublicKey) (persona protocol.ID, ok bool) {
	d := s.Device(key)
	if d == nil {
		return persona, false
	}
	if at := d.Marks().Signs; at.From == 0 || height < at.From || at.Until != 0 && height >= at.Until {
		return persona, false
	}
	return d.Persona, true
}

// noteSigners keeps on devices when they sign checkpoints: those from a height
// on, after others.
func (s State) noteSigners(before []Clerkship, from uint64) State {
	note := func(list, without []Clerkship, until uint64) {
		for _, c := range list {
			d := s.Device(c.Key)
			if d == nil || slices.Contains(without, c) { // a founding key is no device
				continue
			}
			n, marks := *d, d.Marks()
			marks.Signs.Until = until
			if marks.Signs.From == 0 {
				marks.Signs.From = from
			}
			n.mark(marks)
			s.devices = s.devices.Put(c.Key, &n)
		}
	}
	note(before, s.clerks, from)
	note(s.clerks, before, 0)
	return s
}
