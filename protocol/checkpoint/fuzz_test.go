package checkpoint

import (
	"bytes"
	"testing"

	"github.com/metastate-p2p/metastate/protocol"
)

// Whatever parses has one encoding: the bytes it was parsed from.

func FuzzParseValue(f *testing.F) {
	f.Add(mustEncode(f, fullValue()))
	f.Add(mustEncode(f, testValue(1, "v")))
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := ParseValue(b)
		if err != nil {
			return
		}
		if again, err := v.Encode(); err != nil || !bytes.Equal(again, b) {
			t.Fatalf("%x encodes as %x, %v", b, again, err)
		}
	})
}

func FuzzParseChunk(f *testing.F) {
	chunks, err := SplitChunks(ids(3, "x"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(chunks[0])
	f.Fuzz(func(t *testing.T, b []byte) {
		ids, err := ParseChunk(b)
		if err != nil {
			return
		}
		if again, err := SplitChunks(ids); err != nil || len(again) != 1 || !bytes.Equal(again[0], b) {
			t.Fatalf("%x encodes as %x, %v", b, again, err)
		}
	})
}

func FuzzParseCertificate(f *testing.F) {
	f.Add(certify(mustEncode(f, testValue(4, "v")), 1, 300, 0, 2, 3).Encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := ParseCertificate(b)
		if err != nil {
			return
		}
		if again := c.Encode(); !bytes.Equal(again, b) {
			t.Fatalf("%x encodes as %x", b, again)
		}
		_, _ = c.Verify(testMetastate, testClerks(4)) // must not panic
	})
}

// The signature would stop nearly every input, so the form is fuzzed before it.
func FuzzParseMessage(f *testing.F) {
	value := mustEncode(f, testValue(4, "v"))
	f.Add(signed(Header{Kind: KindProposal, Clerk: 3, Round: 2, ValidRound: 1, Value: protocol.Sum(value)}, value))
	f.Add(signed(Header{Kind: KindProposal, Clerk: 1, ValidRound: NoRound, Value: protocol.Sum(value)}, value))
	f.Add(signed(Header{Kind: KindPrevote, Clerk: 1, Round: 70000, ValidRound: NoRound}, nil))
	f.Add(signed(Header{Kind: KindPrecommit, ValidRound: NoRound, Value: protocol.Sum(value)}, nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _ = ParseMessage(testMetastate, testClerks(4), b)
		m, err := decodeMessage(b, 4)
		if err != nil {
			return
		}
		m.metastate = testMetastate
		if m.header.Kind == KindProposal && m.takeValue(4) != nil {
			return
		}
		if again := encodeMessage(m.header, m.sig, m.value); !bytes.Equal(again, b) {
			t.Fatalf("%x encodes as %x", b, again)
		}
	})
}

func FuzzParseEvidence(f *testing.F) {
	for _, kind := range []Kind{KindProposal, KindPrevote, KindPrecommit} {
		h := Header{Kind: kind, Clerk: 2, Height: 5, Round: 9, ValidRound: NoRound, Value: protocol.Sum(nil)}
		a := &Message{header: h}
		h.Value[0]++
		if kind == KindProposal {
			h.ValidRound = 3
		}
		f.Add(newEvidence(a, &Message{header: h}).Encode())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := ParseEvidence(b)
		if err != nil {
			return
		}
		if again := e.Encode(); !bytes.Equal(again, b) {
			t.Fatalf("%x encodes as %x", b, again)
		}
		_, _ = e.Verify(testMetastate, testClerks(4)) // must not panic
	})
}

func FuzzRecord(f *testing.F) {
	cfg := Config{Metastate: testMetastate, Height: 1, Clerks: testClerks(1), Signer: testKey(0)}
	m, err := New(cfg)
	if err != nil {
		f.Fatal(err)
	}
	m.Step(Start{})
	out, _ := m.Step(Propose{0, mustEncode(f, testValue(1, "v"))})
	f.Add(out[0].(Persist).Record)
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := decodeRecord(b); err != nil {
			return
		}
		m, err := Resume(cfg, b)
		if err != nil {
			return
		}
		if again := m.record(); !bytes.Equal(again, b) {
			t.Fatalf("%x is stored again as %x", b, again)
		}
	})
}
