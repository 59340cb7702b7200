package checkpoint

import (
	"bytes"
	"fmt"
	"math"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/certificate"
	"github.com/metastate-p2p/metastate/protocol/dagcbor"
	"github.com/metastate-p2p/metastate/protocol/internal/wire"
	"github.com/metastate-p2p/metastate/protocol/roll"
)

// MaxEvidenceSize is the largest encoding of evidence in bytes.
const MaxEvidenceSize = 512

// Claim is one of the two things that a dishonest clerk signed.
type Claim struct {
	Value      protocol.ID // zero: nil, in a vote
	ValidRound int64       // proposals; NoRound in others
	Sig        [identity.SignatureSize]byte
}

// Evidence proves that a clerk signed two different messages of one kind in
// one round of one height, which an honest clerk never does, not even over a
// crash (SPEC §7.5). It is small, because messages sign the value's id and not
// its bytes, and needs nothing but the clerk's key to be checked.
type Evidence struct {
	Kind          Kind
	Clerk         int // index in the clerk set
	Height        uint64
	Round         uint32
	Era           protocol.ID // as of the messages
	First, Second Claim       // by rising value, then valid round
}

type wireEvidence struct {
	Kind   Kind         `cbor:"t"`
	Clerk  uint8        `cbor:"c"`
	Era    *protocol.ID `cbor:"e,omitempty"`
	Height uint64       `cbor:"h"`
	Round  uint32       `cbor:"r"`
	Claims [2]wireClaim `cbor:"x"`
}

type wireClaim struct {
	Sig        []byte       `cbor:"s"`
	Value      *protocol.ID `cbor:"v,omitempty"`
	ValidRound *uint32      `cbor:"l,omitempty"`
}

// ParseEvidence reads evidence. Well formed evidence says nothing before
// [Evidence.Verify]. Errors wrap [ErrMalformed].
func ParseEvidence(b []byte) (Evidence, error) {
	var e Evidence
	if len(b) > MaxEvidenceSize {
		return e, fmt.Errorf("checkpoint: parsing evidence: %w: over %d bytes", certificate.ErrMalformed, MaxEvidenceSize)
	}
	d := wire.NewDecoder(b)
	pairs := d.Open(5, 6)
	d.Key("c")
	e.Clerk = int(d.Uint(certificate.MaxClerks - 1))
	if d.Optional("e") {
		e.Era = d.Link()
		pairs--
	}
	if pairs != 5 {
		d.Fail("fields of something else")
	}
	d.Key("h")
	e.Height = d.Uint(math.MaxUint64)
	d.Key("r")
	e.Round = uint32(d.Uint(certificate.MaxRound))
	d.Key("t")
	e.Kind = Kind(d.Uint(uint64(KindPrecommit)))
	d.Key("x")
	claims := wire.List(d, 2, readClaim)
	err := d.End()
	if err == nil && len(claims) == 2 {
		e.First, e.Second = claims[0], claims[1]
	}
	if err == nil {
		err = e.check()
	}
	if err != nil {
		return Evidence{}, fmt.Errorf("checkpoint: parsing evidence: %w", err)
	}
	return e, nil
}

func readClaim(d *wire.Decoder) (c Claim) {
	c.ValidRound = NoRound
	pairs := d.Open(1, 3)
	if d.Optional("l") {
		c.ValidRound = int64(d.Uint(certificate.MaxRound))
		pairs--
	}
	d.Key("s")
	d.Fixed(c.Sig[:])
	if d.Optional("v") {
		c.Value = d.Link()
		pairs--
	}
	if pairs != 1 {
		d.Fail("a claim of other fields")
	}
	return c
}

func (e Evidence) check() error {
	switch {
	case e.Kind < KindProposal || e.Kind > KindPrecommit || e.Height == 0:
		return fmt.Errorf("%w: no such kind or height", certificate.ErrMalformed)
	case !e.First.before(e.Second):
		return fmt.Errorf("%w: claims equal or not in order", certificate.ErrMalformed)
	}
	for _, c := range []Claim{e.First, e.Second} {
		proposal := e.Kind == KindProposal
		if (proposal && c.Value.IsZero()) || (!proposal && c.ValidRound != NoRound) || c.ValidRound >= int64(e.Round) {
			return fmt.Errorf("%w: a claim of another kind", certificate.ErrMalformed)
		}
	}
	return nil
}

func (c Claim) before(d Claim) bool {
	if o := bytes.Compare(c.Value[:], d.Value[:]); o != 0 {
		return o < 0
	}
	return c.ValidRound < d.ValidRound
}

// Encode returns the canonical bytes; [protocol.Sum] of them is the id that a
// value's Evidence names.
func (e Evidence) Encode() []byte {
	w := wireEvidence{Kind: e.Kind, Clerk: uint8(e.Clerk), Height: e.Height, Round: e.Round}
	if !e.Era.IsZero() {
		w.Era = &e.Era
	}
	for i, c := range []Claim{e.First, e.Second} {
		w.Claims[i].Sig = c.Sig[:]
		if !c.Value.IsZero() {
			w.Claims[i].Value = &c.Value
		}
		if c.ValidRound != NoRound {
			r := uint32(c.ValidRound)
			w.Claims[i].ValidRound = &r
		}
	}
	return dagcbor.Encode(w)
}

// Verify reports whether the evidence convicts, and whom, given the clerks of
// its height. Errors wrap [ErrMalformed] or [ErrSignature].
func (e Evidence) Verify(metastate protocol.ID, clerks []certificate.Clerk) (certificate.Clerk, error) {
	if err := e.check(); err != nil {
		return certificate.Clerk{}, fmt.Errorf("checkpoint: verifying evidence: %w", err)
	}
	if e.Clerk < 0 || e.Clerk >= len(clerks) {
		return certificate.Clerk{}, fmt.Errorf("checkpoint: verifying evidence: %w: no clerk %d", certificate.ErrMalformed, e.Clerk)
	}
	clerk := clerks[e.Clerk]
	for _, c := range []Claim{e.First, e.Second} {
		h := Header{Kind: e.Kind, Height: e.Height, Round: e.Round, Value: c.Value, ValidRound: c.ValidRound, Era: e.Era}
		if !identity.Verify(clerk.Key, signingBytes(metastate, h), c.Sig[:]) {
			return certificate.Clerk{}, fmt.Errorf("checkpoint: verifying evidence: %w", certificate.ErrSignature)
		}
	}
	return clerk, nil
}

// Body is the record's body that brings the evidence before the roll, given the
// clerks of its height, or the successors by its recall. ok is false if it names
// none of them.
func (e Evidence) Body(clerks []certificate.Clerk) (body roll.EvidenceBody, ok bool) {
	if e.Clerk >= len(clerks) {
		return body, false
	}
	body = roll.EvidenceBody{Key: clerks[e.Clerk].Key, Kind: uint8(e.Kind), Height: e.Height, Round: e.Round, Era: e.Era}
	for _, c := range []Claim{e.First, e.Second} {
		body.Claims = append(body.Claims, roll.Claim{Value: c.Value[:], Valid: uint32(c.ValidRound + 1), Sig: c.Sig[:]})
	}
	return body, true
}

// newEvidence pairs two messages that conflict.
func newEvidence(a, b *Message) Evidence {
	h := a.header
	return orderedEvidence(h, a.claim(), b.claim())
}

func orderedEvidence(h Header, x, y Claim) Evidence {
	if y.before(x) {
		x, y = y, x
	}
	return Evidence{Kind: h.Kind, Clerk: h.Clerk, Height: h.Height, Round: h.Round, Era: h.Era, First: x, Second: y}
}

func (m *Message) claim() Claim {
	return Claim{Value: m.header.Value, ValidRound: m.header.ValidRound, Sig: m.sig}
}

// Conflict compares two certificates that hold
// ([certificate.Certificate.Verify]) under the same clerks. If they make different values final at one height and in one
// round, it returns evidence against each clerk who signed both: more than f of
// them. Certificates of different rounds give none, although more than f clerks
// broke their locks: showing who takes the prevotes of the rounds between. The
// caller keeps both certificates whatever is returned.
func Conflict(a, b certificate.Certificate) []Evidence {
	v, err := certificate.ParseValue(a.Value)
	w, err2 := certificate.ParseValue(b.Value)
	if err != nil || err2 != nil || v.Height != w.Height || v.Era() != w.Era() || a.Round != b.Round || a.ID() == b.ID() {
		return nil
	}
	var out []Evidence
	for _, x := range a.Signatures {
		for _, y := range b.Signatures {
			if x.Clerk != y.Clerk {
				continue
			}
			h := Header{Kind: KindPrecommit, Clerk: int(x.Clerk), Height: v.Height, Round: a.Round, Era: v.Era()}
			out = append(out, orderedEvidence(h,
				Claim{Value: a.ID(), ValidRound: NoRound, Sig: x.Sig},
				Claim{Value: b.ID(), ValidRound: NoRound, Sig: y.Sig}))
		}
	}
	return out
}
