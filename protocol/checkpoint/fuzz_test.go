package checkpoint

import (
	"bytes"
	"testing"

	"github.com/metastate-p2p/metastate/protocol"
)

// Whatever parses has one encoding: the bytes it was parsed from.

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
