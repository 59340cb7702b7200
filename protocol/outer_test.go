package protocol_test

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/metastate-p2p/metastate/protocol"
)

var contents = []protocol.Content{
	protocol.ContentRecord, protocol.ContentAgreement, protocol.ContentCheckpoint, protocol.ContentBinding,
}

func epochs() map[string]*protocol.Epoch {
	return map[string]*protocol.Epoch{
		"wrapped": protocol.NewEpoch([32]byte{1}, true), "clear": protocol.NewEpoch([32]byte{1}, false),
	}
}

func TestOuterRoundTrip(t *testing.T) {
	for name, e := range epochs() {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				content := rapid.SliceOfN(rapid.Byte(), 0, 400).Draw(t, "content")
				kind := rapid.SampledFrom(contents).Draw(t, "kind")
				outer := e.Seal(kind, content)
				if err := e.Check(kind, outer); err != nil {
					t.Fatal(err)
				}
				if got, err := e.Open(kind, outer); err != nil || !bytes.Equal(got, content) {
					t.Fatalf("%x, %v", got, err)
				}
				// Equal content, equal form: that is how relays drop copies.
				again := protocol.NewEpoch([32]byte{1}, name == "wrapped").Seal(kind, content)
				if !bytes.Equal(again, outer) {
					t.Fatal("sealing is not deterministic")
				}
				if seen := bytes.Contains(outer, content); len(content) > 16 && seen == (name == "wrapped") {
					t.Fatalf("content in clear: %v", seen)
				}
				for _, other := range contents {
					if _, err := e.Open(other, outer); other != kind && !errors.Is(err, protocol.ErrBadMAC) {
						t.Fatalf("content %d opened as %d: %v", kind, other, err)
					}
				}
			})
		})
	}
}

// The largest record fits the largest outer form.
func TestOuterHoldsTheLargestContent(t *testing.T) {
	for name, e := range epochs() {
		content := make([]byte, protocol.MaxInner)
		got, err := e.Open(protocol.ContentRecord, e.Seal(protocol.ContentRecord, content))
		if err != nil || len(got) != len(content) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestOuterEveryFlippedByteIsRefused(t *testing.T) {
	for name, e := range epochs() {
		outer := e.Seal(protocol.ContentRecord, control().inner())
		for i := range outer {
			for _, mask := range []byte{1, 0x20, 0x80, 0xff} {
				b := slices.Clone(outer)
				b[i] ^= mask
				_, err := e.Open(protocol.ContentRecord, b)
				known := errors.Is(err, protocol.ErrBadMAC) || errors.Is(err, protocol.ErrOtherEpoch) || errors.Is(err, protocol.ErrMalformed)
				if !known || e.Check(protocol.ContentRecord, b) == nil {
					t.Fatalf("%s: byte %d changed by %02x: %v", name, i, mask, err)
				}
			}
		}
		for n := range outer {
			if err := e.Check(protocol.ContentRecord, outer[:n]); !errors.Is(err, protocol.ErrMalformed) {
				t.Fatalf("%s: cut to %d bytes: %v", name, n, err)
			}
		}
	}
}

func TestOuterRefuses(t *testing.T) {
	wrapped, clear := epochs()["wrapped"], epochs()["clear"]
	other := protocol.NewEpoch([32]byte{2}, true)
	sealed, open := wrapped.Seal(protocol.ContentRecord, []byte("x")), clear.Seal(protocol.ContentRecord, []byte("x"))
	if wrapped.Tag() != clear.Tag() || wrapped.Tag() == other.Tag() {
		t.Fatal("the tag names the secret and nothing else")
	}
	for name, c := range map[string]struct {
		e     *protocol.Epoch
		outer []byte
		want  error
	}{
		"another epoch":                      {wrapped, other.Seal(protocol.ContentRecord, []byte("x")), protocol.ErrOtherEpoch},
		"content in clear in a wrapped one":  {wrapped, open, protocol.ErrMalformed},
		"wrapped content where all is clear": {clear, sealed, protocol.ErrMalformed},
		"too long":                           {wrapped, make([]byte, protocol.MaxOuter+1), protocol.ErrMalformed},
		"too long, and sealed":               {clear, clear.Seal(protocol.ContentRecord, make([]byte, protocol.MaxOuter)), protocol.ErrMalformed},
		"empty":                              {wrapped, nil, protocol.ErrMalformed},
		"four items":                         {wrapped, array(number(1), bytesOf(nil), bytesOf(nil), bytesOf(nil)), protocol.ErrMalformed},
		"version 2":                          {clear, append([]byte{0x85, 2}, open[2:]...), protocol.ErrMalformed},
		"more after it":                      {clear, append(slices.Clone(open), 0), protocol.ErrMalformed},
	} {
		if got, err := c.e.Open(protocol.ContentRecord, c.outer); got != nil || !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
		if err := c.e.Check(protocol.ContentRecord, c.outer); !errors.Is(err, c.want) {
			t.Errorf("%s: Check says %v", name, err)
		}
	}
}

// A MAC of the right tag with another secret behind it, as someone would make
// who has seen outer forms but holds nothing.
func TestOuterMACIsRequired(t *testing.T) {
	for name, e := range epochs() {
		outer := e.Seal(protocol.ContentRecord, []byte("x"))
		foreign := protocol.NewEpoch([32]byte{9}, name == "wrapped").Seal(protocol.ContentRecord, []byte("x"))
		tag := e.Tag()
		copy(foreign[3:], tag[:])
		if _, err := e.Open(protocol.ContentRecord, foreign); !errors.Is(err, protocol.ErrBadMAC) {
			t.Errorf("%s: %v", name, err)
		}
		copy(foreign[len(foreign)-16:], outer[len(outer)-16:]) // with a MAC of something else
		if name == "clear" {
			foreign[len(foreign)-18] ^= 1
		}
		if _, err := e.Open(protocol.ContentRecord, foreign); !errors.Is(err, protocol.ErrBadMAC) {
			t.Errorf("%s, MAC moved: %v", name, err)
		}
	}
}
