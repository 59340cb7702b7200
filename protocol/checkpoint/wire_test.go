package checkpoint

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/certificate"
)

// signed returns the bytes of a message of clerk h.Clerk at height 1.
func signed(h Header, value []byte) []byte {
	if h.Height == 0 {
		h.Height = 1
	}
	return signMessage(testKey(h.Clerk), testMetastate, h, value, protocol.ID{}).Bytes()
}

func TestMessageRoundTrip(t *testing.T) {
	b := mustEncode(t, testValue(4, "v"))
	id := protocol.Sum(b)
	for _, h := range []Header{
		{Kind: KindProposal, Clerk: 1, Height: 1, ValidRound: NoRound, Value: id},
		{Kind: KindProposal, Clerk: 3, Height: 1, Round: 2, ValidRound: 0, Value: id},
		{Kind: KindPrevote, Clerk: 0, Height: 1 << 60, Round: certificate.MaxRound, ValidRound: NoRound},
		{Kind: KindPrecommit, Clerk: 2, Height: 1, ValidRound: NoRound, Value: id},
	} {
		var value []byte
		if h.Kind == KindProposal {
			value = b
		}
		raw := signed(h, value)
		m, err := ParseMessage(testMetastate, testClerks(4), raw)
		if err != nil {
			t.Fatalf("%+v: %v", h, err)
		}
		if m.Header() != h || !bytes.Equal(m.Bytes(), raw) {
			t.Errorf("read back %+v, want %+v", m.Header(), h)
		}
	}
}

// SPEC §7.4: a signature holds for one metastate, clerk, kind, height, round,
// value and valid round, and nothing else.
func TestMessageSignatureBindsEveryField(t *testing.T) {
	b := mustEncode(t, testValue(4, "v"))
	h := Header{Kind: KindPrevote, Clerk: 1, Height: 1, Round: 4, ValidRound: NoRound, Value: protocol.Sum(b)}
	sig := testKey(1).Sign(signingBytes(testMetastate, h))
	p := h
	p.Kind = KindProposal
	proposalSig := testKey(1).Sign(signingBytes(testMetastate, p))
	for name, change := range map[string]func(h *Header){
		"clerk":  func(h *Header) { h.Clerk = 2 },
		"kind":   func(h *Header) { h.Kind = KindPrecommit },
		"height": func(h *Header) { h.Height = 2 },
		"round":  func(h *Header) { h.Round = 5 },
		"value":  func(h *Header) { h.Value[0] ^= 1 },
		"nil":    func(h *Header) { h.Value = protocol.ID{} },
	} {
		g := h
		change(&g)
		if _, err := ParseMessage(testMetastate, testClerks(4), encodeMessage(g, sig, nil)); !errors.Is(err, certificate.ErrSignature) {
			t.Errorf("%s changed: %v, want certificate.ErrSignature", name, err)
		}
	}
	if _, err := ParseMessage(testMetastate, testClerks(4), encodeMessage(h, sig, nil)); err != nil {
		t.Fatal(err)
	}
	if _, err := ParseMessage(protocol.Sum([]byte("another")), testClerks(4), encodeMessage(h, sig, nil)); !errors.Is(err, certificate.ErrSignature) {
		t.Errorf("replayed into another metastate: %v", err)
	}
	if _, err := ParseMessage(testMetastate, testClerks(4), encodeMessage(p, proposalSig, b)); err != nil {
		t.Fatal(err)
	}
	p.ValidRound = 2
	if _, err := ParseMessage(testMetastate, testClerks(4), encodeMessage(p, proposalSig, b)); !errors.Is(err, certificate.ErrSignature) {
		t.Errorf("valid round changed: %v", err)
	}
	other := mustEncode(t, testValue(4, "w"))
	p.ValidRound = NoRound
	if _, err := ParseMessage(testMetastate, testClerks(4), encodeMessage(p, proposalSig, other)); !errors.Is(err, certificate.ErrSignature) {
		t.Errorf("value changed: %v", err)
	}
}

func TestMessageRefuses(t *testing.T) {
	v := testValue(4, "v")
	b := mustEncode(t, v)
	v.Metastate = protocol.Sum([]byte("another"))
	foreign := mustEncode(t, v)
	second := testValue(4, "second")
	second.Height, second.Prev = 2, protocol.Sum(b)
	later := mustEncode(t, second)
	for name, raw := range map[string][]byte{
		"not its turn":        signed(Header{Kind: KindProposal, Clerk: 2, ValidRound: NoRound, Value: protocol.Sum(b)}, b),
		"foreign value":       signed(Header{Kind: KindProposal, Clerk: 1, ValidRound: NoRound, Value: protocol.Sum(foreign)}, foreign),
		"value of height 2":   signed(Header{Kind: KindProposal, Clerk: 1, ValidRound: NoRound, Value: protocol.Sum(later)}, later),
		"no value":            signed(Header{Kind: KindProposal, Clerk: 1, ValidRound: NoRound}, []byte{0}),
		"valid round not yet": signed(Header{Kind: KindProposal, Clerk: 1, ValidRound: 0, Value: protocol.Sum(b)}, b),
		"no such clerk":       signed(Header{Kind: KindPrevote, Clerk: 4}, nil),
		"round too far":       signed(Header{Kind: KindPrevote, Round: certificate.MaxRound + 1}, nil),
		"unknown kind":        signed(Header{Kind: 4}, nil),
		"vote with a value":   signed(Header{Kind: KindPrevote, Clerk: 1, ValidRound: NoRound}, b),
		"trailing byte":       append(signed(Header{Kind: KindPrevote, ValidRound: NoRound}, nil), 0),
		"too long":            make([]byte, MaxMessageSize+1),
		"proposal of no kind": signed(Header{Kind: KindProposal, ValidRound: NoRound}, nil),
	} {
		if _, err := ParseMessage(testMetastate, testClerks(4), raw); !errors.Is(err, certificate.ErrMalformed) {
			t.Errorf("%s: %v, want certificate.ErrMalformed", name, err)
		}
	}
	if _, err := ParseMessage(testMetastate, nil, signed(Header{Kind: KindPrevote, ValidRound: NoRound}, nil)); err == nil {
		t.Error("taken for no clerks")
	}
}

// certify returns a certificate of value by the clerks named.
func certify(value []byte, height uint64, round uint32, who ...int) certificate.Certificate {
	c := certificate.Certificate{Value: value, Round: round}
	h := Header{Kind: KindPrecommit, Height: height, Round: round, Value: protocol.Sum(value)}
	for _, i := range who {
		sig := testKey(i).Sign(signingBytes(testMetastate, h))
		c.Signatures = append(c.Signatures, certificate.Signature{Clerk: uint8(i), Sig: sig})
	}
	return c
}

func TestEvidence(t *testing.T) {
	a := signMessage(testKey(2), testMetastate, Header{Kind: KindPrevote, Clerk: 2, Height: 5, Round: 1, ValidRound: NoRound}, nil, protocol.ID{})
	b := signMessage(testKey(2), testMetastate, Header{Kind: KindPrevote, Clerk: 2, Height: 5, Round: 1, ValidRound: NoRound, Value: protocol.Sum(nil)}, nil, protocol.ID{})
	e := newEvidence(b, a)
	if e != newEvidence(a, b) {
		t.Fatal("evidence depends on the order the messages came in")
	}
	clerks := testClerks(4)
	if who, err := e.Verify(testMetastate, clerks); err != nil || who != clerks[2] {
		t.Fatalf("convicts %v, %v", who, err)
	}
	again, err := ParseEvidence(e.Encode())
	if err != nil || again != e {
		t.Fatalf("read back %+v, %v", again, err)
	}
	for name, tc := range map[string]struct {
		change func(e *Evidence)
		want   error
	}{
		"same message":  {func(e *Evidence) { e.Second = e.First }, certificate.ErrMalformed},
		"swapped":       {func(e *Evidence) { e.First, e.Second = e.Second, e.First }, certificate.ErrMalformed},
		"other round":   {func(e *Evidence) { e.Round = 2 }, certificate.ErrSignature},
		"other height":  {func(e *Evidence) { e.Height = 6 }, certificate.ErrSignature},
		"other kind":    {func(e *Evidence) { e.Kind = KindPrecommit }, certificate.ErrSignature},
		"other clerk":   {func(e *Evidence) { e.Clerk = 1 }, certificate.ErrSignature},
		"no such clerk": {func(e *Evidence) { e.Clerk = 4 }, certificate.ErrMalformed},
		"kind 0":        {func(e *Evidence) { e.Kind = 0 }, certificate.ErrMalformed},
		"height 0":      {func(e *Evidence) { e.Height = 0 }, certificate.ErrMalformed},
		"nil proposal":  {func(e *Evidence) { e.Kind = KindProposal }, certificate.ErrMalformed},
		"vote with one": {func(e *Evidence) { e.First.ValidRound = 0 }, certificate.ErrMalformed},
		"bad second":    {func(e *Evidence) { e.Second.Sig[3] ^= 1 }, certificate.ErrSignature},
		"bad first":     {func(e *Evidence) { e.First.Sig[3] ^= 1 }, certificate.ErrSignature},
	} {
		bad := e
		tc.change(&bad)
		if _, err := bad.Verify(testMetastate, clerks); !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, want %v", name, err, tc.want)
		}
	}
	if _, err := e.Verify(protocol.Sum([]byte("another")), clerks); !errors.Is(err, certificate.ErrSignature) {
		t.Errorf("another metastate: %v", err)
	}
}

// Two proposals of one value differ if they claim different proofs.
func TestEvidenceOfProposals(t *testing.T) {
	b := mustEncode(t, testValue(4, "v"))
	h := Header{Kind: KindProposal, Clerk: 3, Height: 1, Round: 2, ValidRound: NoRound, Value: protocol.Sum(b)}
	x := signMessage(testKey(3), testMetastate, h, b, protocol.ID{})
	h.ValidRound = 1
	y := signMessage(testKey(3), testMetastate, h, b, protocol.ID{})
	e := newEvidence(y, x)
	again, err := ParseEvidence(e.Encode())
	if err != nil || again != e {
		t.Fatalf("read back %+v, %v", again, err)
	}
	if _, err := e.Verify(testMetastate, testClerks(4)); err != nil {
		t.Fatal(err)
	}
}

// Two final values at one height convict f+1 clerks.
func TestConflict(t *testing.T) {
	v, w := mustEncode(t, testValue(4, "v")), mustEncode(t, testValue(4, "w"))
	a, b := certify(v, 1, 0, 0, 2, 3), certify(w, 1, 0, 1, 2, 3)
	var who []int
	for _, e := range Conflict(a, b) {
		if _, err := e.Verify(testMetastate, testClerks(4)); err != nil {
			t.Fatal(err)
		}
		who = append(who, e.Clerk)
	}
	if !slices.Equal(who, []int{2, 3}) {
		t.Errorf("convicts %v, want 2 and 3", who)
	}
	if Conflict(a, a) != nil || Conflict(a, certify(w, 1, 1, 1, 2, 3)) != nil || Conflict(a, certificate.Certificate{}) != nil {
		t.Error("evidence where nothing was signed twice in a round")
	}
}

// A signature of a message can be made in many ways; it is one message.
func TestSecondSignatureIsNoConflict(t *testing.T) {
	m := testMachine(t, 4, 0)
	h := Header{Kind: KindPrevote, Clerk: 1, Height: 1, ValidRound: NoRound}
	first := signMessage(testKey(1), testMetastate, h, nil, protocol.ID{})
	second := *first
	second.sig = [identity.SignatureSize]byte{1}
	m.Step(Start{})
	if _, v := m.Step(Received{first}); v != Accepted {
		t.Fatal(v)
	}
	if out, v := m.Step(Received{&second}); v != Duplicate || out != nil {
		t.Errorf("%v %v, want duplicate", v, out)
	}
}

// SPEC §7.4 rule 4.
func TestProposer(t *testing.T) {
	for n := 1; n <= certificate.MaxClerks; n++ {
		turns := map[int]bool{}
		for round := range uint32(n) {
			turns[Proposer(1<<64-1, round, n)] = true
		}
		if len(turns) != n {
			t.Errorf("n=%d: %d clerks get their turn in n rounds", n, len(turns))
		}
	}
}
