package checkpoint

import (
	"errors"
	"testing"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/certificate"
)

// What a clerk signs under a recall and as one of the clerks in force, at one
// height and in one round, never speaks against them, and neither counts as the
// other (SPEC §7.4 rule 18).
func TestRecallIsAnEraOfItsOwn(t *testing.T) {
	era := protocol.Sum([]byte("recall"))
	v := testValue(4, "v")
	v.Recall = []protocol.ID{era}
	value := mustEncode(t, v)
	id := protocol.Sum(value)
	under := Header{Kind: KindProposal, Clerk: 1, ValidRound: NoRound, Value: id, Era: era}
	m, err := ParseMessage(testMetastate, testClerks(4), signed(under, value))
	if err != nil || m.Header().Era != era || EraOf(m.Bytes()) != era {
		t.Fatalf("%+v, %v", m, err)
	}
	for what, h := range map[string]Header{
		"a proposal that names another recall": {Kind: KindProposal, Clerk: 1, ValidRound: NoRound, Value: id, Era: protocol.ID{1}},
		"a proposal that names none":           {Kind: KindProposal, Clerk: 1, ValidRound: NoRound, Value: id},
	} {
		if _, err := ParseMessage(testMetastate, testClerks(4), signed(h, value)); !errors.Is(err, certificate.ErrMalformed) {
			t.Errorf("%s: %v", what, err)
		}
	}
	vote := Header{Kind: KindPrecommit, Height: 1, ValidRound: NoRound, Value: id}
	plain := signMessage(testKey(0), testMetastate, vote, nil, protocol.ID{})
	vote.Era = era
	other := signMessage(testKey(0), testMetastate, vote, nil, protocol.ID{})
	if plain.sig == other.sig {
		t.Error("a vote under a recall is signed like another")
	}
	machine, err := New(Config{Metastate: testMetastate, Height: 1, Era: era, Clerks: testClerks(4)})
	if err != nil {
		t.Fatal(err)
	}
	machine.Step(Start{})
	if _, verdict := machine.Step(Received{plain}); verdict != Foreign {
		t.Errorf("a vote of the clerks in force under a recall: %v", verdict)
	}
	if _, verdict := machine.Step(Received{other}); verdict != Accepted {
		t.Errorf("a vote under the recall: %v", verdict)
	}
	e := newEvidence(other, signMessage(testKey(0), testMetastate, Header{Kind: KindPrecommit, Height: 1, ValidRound: NoRound, Era: era}, nil, protocol.ID{}))
	again, err := ParseEvidence(e.Encode())
	if err != nil || again != e {
		t.Fatalf("%+v, %v", again, err)
	}
	if _, err := again.Verify(testMetastate, testClerks(4)); err != nil {
		t.Error(err)
	}
	again.Era = protocol.ID{}
	if _, err := again.Verify(testMetastate, testClerks(4)); !errors.Is(err, certificate.ErrSignature) {
		t.Errorf("evidence of one era holds in another: %v", err)
	}
}

// A certificate under a recall needs the signatures of its own era.
func TestCertificateUnderARecall(t *testing.T) {
	v := testValue(4, "v")
	v.Recall = []protocol.ID{protocol.Sum([]byte("recall"))}
	value := mustEncode(t, v)
	c := certificate.Certificate{Value: value}
	for clerk := range 3 {
		h := Header{Kind: KindPrecommit, Clerk: clerk, Height: 1, ValidRound: NoRound, Value: protocol.Sum(value), Era: v.Era()}
		c.Signatures = append(c.Signatures, certificate.Signature{Clerk: uint8(clerk), Sig: signMessage(testKey(clerk), testMetastate, h, nil, protocol.ID{}).sig})
	}
	if _, err := c.Verify(testMetastate, certificate.Signers{Era: v.Era(), Clerks: testClerks(4)}); err != nil {
		t.Error(err)
	}
	if _, err := certify(value, 1, 0, 0, 1, 2).Verify(testMetastate, certificate.Signers{Era: v.Era(), Clerks: testClerks(4)}); !errors.Is(err, certificate.ErrSignature) {
		t.Errorf("signed as in no recall: %v", err)
	}
}
