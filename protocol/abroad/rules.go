package abroad

import (
	"maps"
	"slices"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/certificate"
	"github.com/metastate-p2p/metastate/protocol/roll"
)

// Rules cited here (SPEC §5.10).
const (
	RuleClaim     = roll.RuleClaim
	RuleAnchor    = protocol.Rule("anchor")
	RuleProof     = protocol.Rule("proof")
	RuleTaken     = protocol.Rule("claim/taken")
	RulePower     = roll.RulePower
	RuleMalformed = roll.RuleMalformed
)

// ClaimBody proves to the fork that somebody left the parent for it. Any member
// of the fork can bring it: it gives nothing but what who left has said.
type ClaimBody struct {
	Persona     protocol.ID       `cbor:"persona"` // in the parent
	Certificate []byte            `cbor:"certificate"`
	Proof       certificate.Entry `cbor:"proof"` // of the persona's entry on the parent's roll
}

// AnchorBody shows that another metastate's clerks changed.
type AnchorBody struct {
	Metastate   protocol.ID `cbor:"metastate"`
	Certificate []byte      `cbor:"certificate"`
}

// CountersignBody shows what the other side has of a pact.
type CountersignBody struct {
	Pact        protocol.ID       `cbor:"pact"`
	Certificate []byte            `cbor:"certificate"`
	Proof       certificate.Entry `cbor:"proof"` // of the pact's entry there
}

// Decides reports whether records of a kind are this package's.
func Decides(k protocol.Kind) bool {
	return k == protocol.Claim || k == protocol.Anchor || k == protocol.Countersign
}

// A Batch is what one step applies: the records of this package's kinds that
// nothing has struck out.
type Batch struct {
	Base     State
	BaseRoll roll.Batch // judges authors in the final state
	Roll     roll.State // after the step's records
	Records  []*protocol.Record
}

// An Outcome is what a batch leads to.
type Outcome struct {
	State    State
	Roll     roll.State // with those who came
	Verdicts []protocol.Verdict
}

// Apply judges every record by what the base knows, so that the order of records
// decides nothing.
func Apply(b Batch) Outcome {
	f := &fold{Batch: b, s: b.Base, values: map[protocol.ID]held{}}
	f.anchors()
	f.claims()
	f.countersigns()
	return Outcome{State: f.s, Roll: f.Roll, Verdicts: f.verdicts}
}

type fold struct {
	Batch
	s        State
	values   map[protocol.ID]held // by the certificate's SHA-256
	verdicts []protocol.Verdict
}

// held is a certificate that was judged.
type held struct {
	value certificate.Value
	err   error
}

func (f *fold) void(r *protocol.Record, rule protocol.Rule, text string) {
	f.verdicts = append(f.verdicts, protocol.Void(r, rule, text))
}

// holds judges a certificate by what the base knows, each once.
func (f *fold) holds(metastate protocol.ID, encoded []byte) (certificate.Value, error) {
	name := protocol.Sum(append(slices.Clone(metastate[:]), encoded...))
	h, ok := f.values[name]
	if !ok {
		h.value, h.err = f.Base.Known(metastate).Holds(metastate, encoded)
		f.values[name] = h
	}
	return h.value, h.err
}

// anchors moves what is known on, each other metastate to the highest of the
// checkpoints shown. If two of one height are shown, its clerks signed both, and
// it stays where it is.
func (f *fold) anchors() {
	best := map[protocol.ID][]Anchor{}
	for _, r := range f.Records {
		if r.Kind() != protocol.Anchor {
			continue
		}
		body, err := protocol.Body[AnchorBody](r)
		switch {
		case err != nil || f.Base.Known(body.Metastate) == nil:
			f.void(r, RuleMalformed, "It is about no metastate that this one knows.")
			continue
		case !f.BaseRoll.Authorised(r):
			f.void(r, RulePower, "Only members bring news of other metastates.")
			continue
		}
		v, err := f.holds(body.Metastate, body.Certificate)
		if err != nil || !f.Base.Known(body.Metastate).moves(v) {
			f.void(r, RuleProof, "It does not show that the clerks changed whom this metastate knows there.")
			continue
		}
		f.verdicts = append(f.verdicts, protocol.Stand(r, RuleAnchor, "The other metastate's clerks signed who follows them."))
		a := Anchor{Metastate: body.Metastate, Height: v.Height, ID: valueID(body.Certificate), Clerks: v.Clerks, Era: v.Era()}
		switch list := best[a.Metastate]; {
		case len(list) == 0 || list[0].Height < a.Height:
			best[a.Metastate] = []Anchor{a}
		case list[0].Height == a.Height && list[0].ID != a.ID:
			best[a.Metastate] = append(list, a)
		}
	}
	for _, list := range best {
		if len(list) == 1 {
			f.s = f.s.know(list[0])
		}
	}
}

// valueID is the id of the value in a certificate that was parsed before.
func valueID(encoded []byte) protocol.ID {
	c, err := certificate.ParseCertificate(encoded)
	if err != nil {
		return protocol.ID{}
	}
	return c.ID()
}

// claims takes in those who prove that they left the parent for here.
func (f *fold) claims() {
	proven := map[protocol.ID][]*protocol.Record{} // by persona in the parent
	found := map[protocol.ID]map[Claim]bool{}
	for _, r := range f.Records {
		if r.Kind() != protocol.Claim {
			continue
		}
		from, c, v := f.claim(r)
		if !v.Stands {
			f.verdicts = append(f.verdicts, v)
			continue
		}
		if found[from] == nil {
			found[from] = map[Claim]bool{}
		}
		found[from][c] = true
		proven[from] = append(proven[from], r)
	}
	for _, from := range slices.SortedFunc(maps.Keys(proven), protocol.ID.Compare) {
		if len(found[from]) > 1 {
			for _, r := range proven[from] {
				f.void(r, RuleProof, "The parent's clerks signed two different things about the persona.")
			}
			continue
		}
		for c := range found[from] {
			f.s.claims = f.s.claims.Put(from, c)
			f.Roll = f.Roll.Claim(c.Persona, proven[from][0].ID(), f.BaseRoll.Step)
		}
		for _, r := range proven[from] {
			f.verdicts = append(f.verdicts, protocol.Stand(r, RuleClaim, "The persona left the parent for here."))
		}
	}
}

// claim judges one claim: of whom in the parent, and who that is here, with a
// share or not.
func (f *fold) claim(r *protocol.Record) (from protocol.ID, c Claim, v protocol.Verdict) {
	bad := func(rule protocol.Rule, text string) (protocol.ID, Claim, protocol.Verdict) {
		return from, c, protocol.Void(r, rule, text)
	}
	body, err := protocol.Body[ClaimBody](r)
	if err != nil || f.s.parent.IsZero() {
		return bad(RuleMalformed, "It claims nothing from the metastate that this one was founded from.")
	}
	if !f.BaseRoll.Authorised(r) {
		return bad(RulePower, "Only members bring claims.")
	}
	value, err := f.holds(f.s.parent, body.Certificate)
	if err != nil {
		return bad(RuleProof, "The certificate is not one of the parent's clerks, as they are known here, or too old.")
	}
	if body.Proof.Verify(value.StateRoot, "members", body.Persona) != nil {
		return bad(RuleProof, "The parent's checkpoint does not show that entry of the roll.")
	}
	entry, err := roll.ParseMember(body.Persona, body.Proof.Entry)
	if err != nil || entry.Moved == nil {
		return bad(RuleProof, "The persona did not leave the parent for anywhere.")
	}
	to := *entry.Moved
	if to.Metastate != r.Header().Metastate || to.Height != f.s.from {
		return bad(RuleProof, "The persona left the parent for elsewhere.")
	}
	if f.BaseRoll.Base.Member(to.Persona) == nil {
		return bad(RulePower, "The persona as whom they left for here is not on the roll.")
	}
	if _, taken := f.Base.claims.Get(body.Persona); taken {
		return bad(RuleTaken, "It was claimed before.")
	}
	return body.Persona, Claim{Persona: to.Persona, Share: to.Share}, protocol.Verdict{Stands: true}
}
