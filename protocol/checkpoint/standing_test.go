package checkpoint_test

import (
	"testing"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/checkpoint"
)

// FuzzStanding: whatever parses has one encoding, and verifying it never
// panics.
func FuzzStanding(f *testing.F) {
	f.Add(checkpoint.Standing{Persona: protocol.Sum([]byte("p")), Certificate: []byte{1}, Before: []byte{2}}.Encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := checkpoint.ParseStanding(b)
		if err != nil {
			return
		}
		if string(s.Encode()) != string(b) {
			t.Fatalf("%x encodes as %x", b, s.Encode())
		}
		_, _ = s.Verify()
	})
}
