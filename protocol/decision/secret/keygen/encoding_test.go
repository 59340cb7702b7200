package keygen

import (
	"bytes"
	"errors"
	"testing"

	"github.com/metastate-p2p/metastate/protocol/dagcbor"
	"github.com/metastate-p2p/metastate/protocol/internal/wire"
)

// parsers read each kind of message of a board and write it again.
func (b *board) parsers() map[string]func([]byte) ([]byte, error) {
	return map[string]func([]byte) ([]byte, error){
		"announcement": func(in []byte) ([]byte, error) { a, err := ParseAnnouncement(in); return a.Bytes(), err },
		"commitment":   func(in []byte) ([]byte, error) { c, err := ParseCommitment(in); return c.Bytes(), err },
		"complaint":    func(in []byte) ([]byte, error) { c, err := ParseComplaint(in); return c.Bytes(), err },
		"deal": func(in []byte) ([]byte, error) {
			d, err := ParseDeal(b.roster, 1, b.deals[0].Commitment(), in)
			if err != nil {
				return nil, err
			}
			return d.Bytes(), nil
		},
	}
}

func (b *board) messages(t testing.TB) map[string][]byte {
	t.Helper()
	c, err := b.trustees[1].Complain(b.deals[0])
	if err != nil {
		t.Fatal(err)
	}
	return map[string][]byte{
		"announcement": b.announced[0].Bytes(), "commitment": b.deals[0].Commitment().Bytes(),
		"complaint": c.Bytes(), "deal": b.deals[0].Bytes(),
	}
}

func TestEncodings(t *testing.T) {
	b := newBoard(t, 1, 1)
	messages := b.messages(t)
	for kind, parse := range b.parsers() {
		in := messages[kind]
		if out, err := parse(in); err != nil || !bytes.Equal(out, in) || dagcbor.Check(in) != nil {
			t.Errorf("%s does not come back: %v", kind, err)
		}
		for cut := range len(in) {
			if _, err := parse(in[:cut]); err == nil {
				t.Errorf("%s of %d bytes is taken", kind, cut)
			}
		}
		for _, bad := range [][]byte{append(bytes.Clone(in), 0), append(bytes.Clone(in), in...), {0xf6}, {0xa0}} {
			if _, err := parse(bad); !errors.Is(err, wire.ErrMalformed) {
				t.Errorf("%s as %x: %v", kind, bad, err)
			}
		}
		for other, bytes := range messages {
			if _, err := parse(bytes); (err == nil) != (other == kind) {
				t.Errorf("%s read as %s: %v", other, kind, err)
			}
		}
		// Only a commitment is any 32 bytes, and a proof or a key can be another's.
		for at := range in {
			spoilt := bytes.Clone(in)
			spoilt[at] ^= 0x10
			if out, err := parse(spoilt); err == nil && !bytes.Equal(out, spoilt) {
				t.Errorf("%s with byte %d spoilt is read as another", kind, at)
			}
		}
	}
}

// TestDealFlips: no byte of a deal can be another: everybody sees it, or the one
// whose share it is part of.
func TestDealFlips(t *testing.T) {
	b := newBoard(t, 1, 1)
	in := b.deals[0].Bytes()
	shares := bytes.Index(in, b.deals[0].shares[0][:])
	for at := range in {
		spoilt := bytes.Clone(in)
		spoilt[at] ^= 1
		d, err := ParseDeal(b.roster, 1, b.deals[0].Commitment(), spoilt)
		if err != nil {
			continue
		}
		j := (at - shares) / boxSize
		if at < shares || j >= len(b.trustees) {
			t.Fatalf("byte %d may be another", at)
		}
		if _, err := b.trustees[j].Receive(d); !errors.Is(err, ErrShare) {
			t.Errorf("byte %d may be another: %v", at, err)
		}
	}
}

func TestIdentitiesAreRefused(t *testing.T) {
	b := newBoard(t, 1, 1)
	messages := b.messages(t)
	zero := make([]byte, 32)
	for kind, point := range map[string][32]byte{
		"announcement": b.announced[0].key.Bytes(),
		"complaint":    b.deals[0].ephemeral.Mul(b.trustees[1].secret).Bytes(),
		"deal":         b.deals[0].ephemeral.Bytes(),
	} {
		in := bytes.Replace(messages[kind], point[:], zero, 1)
		if _, err := b.parsers()[kind](in); bytes.Equal(in, messages[kind]) || !errors.Is(err, wire.ErrMalformed) {
			t.Errorf("%s takes the identity: %v", kind, err)
		}
	}
}

func TestComplaintsNameADealer(t *testing.T) {
	b := newBoard(t, 1, 1)
	in := b.messages(t)["complaint"]
	for _, dealer := range []byte{0, 23, 24} { // in one byte of CBOR, but the last
		spoilt := bytes.Clone(in)
		spoilt[len(in)-1] = dealer
		if _, err := ParseComplaint(spoilt); (err == nil) != (dealer == 23) {
			t.Errorf("of dealer %d: %v", dealer, err)
		}
	}
	if _, err := ParseComplaint(append(in[:len(in)-1], 24, 3*MaxFaults+2)); !errors.Is(err, wire.ErrMalformed) {
		t.Errorf("of a dealer that no committee has: %v", err)
	}
}

func FuzzMessages(f *testing.F) {
	b := newBoard(f, 1, 1)
	for _, in := range b.messages(f) {
		f.Add(in)
	}
	parsers := b.parsers()
	f.Fuzz(func(t *testing.T, in []byte) {
		for kind, parse := range parsers {
			if out, err := parse(in); err == nil && (!bytes.Equal(out, in) || dagcbor.Check(in) != nil) {
				t.Fatalf("%s %x is taken as %x", kind, in, out)
			}
		}
	})
}
