package certificate

import (
	"bytes"
	"testing"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/dagcbor"
	"github.com/metastate-p2p/metastate/protocol/merkle"
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
		_, _ = c.Verify(testMetastate, Signers{Clerks: testClerks(4)}) // must not panic
	})
}

func FuzzEntry(f *testing.F) {
	var key protocol.ID
	sections := func(pairs map[string][]byte) []byte {
		b, err := dagcbor.Marshal(pairs)
		if err != nil {
			f.Fatal(err)
		}
		return b
	}
	var digest [32]byte // of no entries
	f.Add(sections(map[string][]byte{"members": digest[:], "polls": {1}}))
	f.Add(sections(map[string][]byte{"members": digest[:31]}))
	f.Add(sections(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		if (Entry{Sections: b, Path: merkle.Proof{}}).Verify(protocol.Sum(b), "members", key) != nil {
			return
		}
		var again map[string]any
		if err := dagcbor.Unmarshal(b, &again); err != nil || !bytes.Equal(again["members"].([]byte), digest[:]) {
			t.Fatalf("%x shows that the roll is empty: %v", b, err)
		}
	})
}
