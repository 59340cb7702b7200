package checkpoint

import (
	"errors"
	"fmt"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/certificate"
	"github.com/metastate-p2p/metastate/protocol/dagcbor"
	"github.com/metastate-p2p/metastate/protocol/roll"
	"github.com/metastate-p2p/metastate/protocol/state"
)

// MaxStanding is the largest encoding of a [Standing], bytes.
const MaxStanding = 256 << 10

// A Standing is proof of what a persona held at a checkpoint, which whoever
// leaves can take along: a checkpoint's certificate, the value before it, which
// names who may sign it, and the persona's entry under its state root
// (SPEC §7.7).
type Standing struct {
	Persona     protocol.ID       `cbor:"persona"`
	Certificate []byte            `cbor:"certificate"`
	Before      []byte            `cbor:"before"` // the value at the height before
	Proof       certificate.Entry `cbor:"proof"`
}

// Shown is what a standing proves: that the clerks named signed that the persona
// had this entry. Whether these were the clerks is for the reader to know, by
// the id of the checkpoint or of the one before.
type Shown struct {
	Metastate protocol.ID
	Ref       protocol.Ref
	Before    protocol.ID
	AsOf      int64
	StateRoot [32]byte
	Clerks    []certificate.Clerk // who signed, of those in force
	Member    *roll.Member        // nil: proof that the persona is not on the roll
}

// Encode returns the canonical bytes.
func (s Standing) Encode() []byte { return dagcbor.Encode(s) }

// ParseStanding reads what Encode wrote. Errors wrap [ErrMalformed].
func ParseStanding(b []byte) (s Standing, err error) {
	if len(b) > MaxStanding {
		return s, fmt.Errorf("checkpoint: parsing a standing: %w: over %d bytes", certificate.ErrMalformed, MaxStanding)
	}
	if err := dagcbor.Unmarshal(b, &s); err != nil {
		return s, fmt.Errorf("checkpoint: parsing a standing: %w: %w", certificate.ErrMalformed, err)
	}
	return s, nil
}

// Verify checks every hash and signature. It needs nothing else. Standings of
// the first checkpoint and of those under a recall prove nothing by themselves.
func (s Standing) Verify() (out Shown, err error) {
	wrong := func(err error) (Shown, error) {
		return Shown{}, fmt.Errorf("checkpoint: verifying a standing: %w", err)
	}
	cert, err := certificate.ParseCertificate(s.Certificate)
	if err != nil {
		return wrong(err)
	}
	before, err := certificate.ParseValue(s.Before)
	if err != nil {
		return wrong(err)
	}
	v, err := cert.Verify(before.Metastate, before.Next())
	if err != nil {
		return wrong(err)
	}
	if protocol.Sum(s.Before) != v.Prev || before.Height+1 != v.Height || !v.Under().IsZero() {
		return wrong(fmt.Errorf("%w: the value before is not the one named", certificate.ErrMalformed))
	}
	if err := state.VerifyMember(v.StateRoot, s.Persona, s.Proof); err != nil {
		return wrong(err)
	}
	out = Shown{
		Metastate: v.Metastate, Ref: protocol.Ref{Height: v.Height, ID: cert.ID()}, Before: v.Prev, AsOf: v.AsOf, StateRoot: v.StateRoot,
	}
	for _, sig := range cert.Signatures {
		out.Clerks = append(out.Clerks, before.Clerks[sig.Clerk])
	}
	if len(s.Proof.Entry) > 0 {
		if out.Member, err = roll.ParseMember(s.Persona, s.Proof.Entry); err != nil {
			return wrong(err)
		}
	}
	return out, nil
}

// Prove makes the standing of a persona at this tip, from the certificate of it
// and the value before. It verifies before it is returned.
func (t Tip) Prove(persona protocol.ID, certificate certificate.Certificate, before []byte) (Standing, error) {
	if certificate.ID() != t.ref.ID {
		return Standing{}, errors.New("checkpoint: proving a standing: the certificate is of another checkpoint")
	}
	s := Standing{Persona: persona, Certificate: certificate.Encode(), Before: before, Proof: t.state.ProveMember(persona)}
	_, err := s.Verify()
	return s, err
}
