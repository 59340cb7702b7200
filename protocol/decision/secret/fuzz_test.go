package secret

import (
	"bytes"
	"errors"
	"testing"

	"github.com/metastate-p2p/metastate/protocol/decision/secret/proof"
)

// FuzzBallot: any bytes are refused or are the one encoding of what is read; only
// the ballot that was made holds.
func FuzzBallot(f *testing.F) {
	p := newPoll(f, Shape{One, 0}, 2)
	good := p.cast(f, voterOf(1), 1, 0)
	f.Add(good)
	f.Add(good[:100])
	f.Add(make([]byte, len(good)))
	f.Fuzz(func(t *testing.T, b []byte) {
		ballot, err := p.Decode(b)
		if err != nil {
			if !errors.Is(err, ErrBallot) {
				t.Fatal(err)
			}
			return
		}
		var again []byte
		for _, c := range ballot.ciphertexts {
			again = c.Append(again)
		}
		for _, x := range ballot.branches {
			again = x.Append(again)
		}
		if !bytes.Equal(again, b) {
			t.Fatalf("%x is taken as %x", b, again)
		}
		if _, err := p.Verify(voterOf(1), b); err == nil && !bytes.Equal(b, good) {
			t.Fatalf("forged: %x", b)
		}
	})
}

func FuzzShare(f *testing.F) {
	p := newPoll(f, Shape{One, 0}, 2)
	s := p.sum(f, []uint8{1, 0})
	good := p.decrypt(f, s, 1)
	f.Add(good)
	f.Add(good[:proof.Size])
	f.Add(make([]byte, len(good)))
	f.Fuzz(func(t *testing.T, b []byte) {
		_, err := p.VerifyShare(1, s, b)
		if bad, ok := errors.AsType[*ShareError](err); err != nil && (!ok || bad.Trustee != 1) {
			t.Fatal(err)
		}
		if err == nil && !bytes.Equal(b, good) {
			t.Fatalf("forged: %x", b)
		}
	})
}
