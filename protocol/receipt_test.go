package protocol_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
	"testing"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/dagcbor"
)

// signedReceipt makes a receipt's bytes apart from the package, with the domain
// and the fields given.
func signedReceipt(domain string, metastate protocol.ID, height uint64, record protocol.ID, key identity.SigningKey) []byte {
	sig := key.Sign(slices.Concat([]byte(domain), metastate[:], record[:], binary.BigEndian.AppendUint64(nil, height)))
	return receiptMap("c", multikey(key), "h", number(height), "r", link(record), "s", bytesOf(sig[:]))
}

func receiptMap(pairs ...any) []byte {
	b := dagcbor.AppendMap(nil, len(pairs)/2)
	for i := 0; i < len(pairs); i += 2 {
		b = append(dagcbor.AppendText(b, pairs[i].(string)), pairs[i+1].([]byte)...)
	}
	return b
}

func TestReceipt(t *testing.T) {
	ms, record, key := testID(1), testID(2), testKey(1)
	const domain = "metastate/receipt/v1"
	r := protocol.SignReceipt(ms, record, 7, key)
	b := r.Encode()
	if !bytes.Equal(b, signedReceipt(domain, ms, 7, record, key)) {
		t.Errorf("%x", b)
	}
	got, err := protocol.ParseReceipt(ms, b)
	if err != nil || got != r || got.Key != key.Public() || got.Height != 7 || got.Record != record {
		t.Errorf("%+v, %v", got, err)
	}
	if b := protocol.SignReceipt(ms, record, protocol.MaxHeight, key).Encode(); len(b) > protocol.MaxReceipt {
		t.Errorf("%d bytes", len(b))
	} else if _, err := protocol.ParseReceipt(ms, b); err != nil {
		t.Error(err)
	}
	forged := slices.Clone(b)
	forged[len(forged)-1] ^= 1
	for name, b := range map[string][]byte{
		"another metastate's": signedReceipt(domain, testID(3), 7, record, key),
		"another domain":      signedReceipt("metastate/receipt/v2", ms, 7, record, key),
		"a changed signature": forged,
	} {
		if got, err := protocol.ParseReceipt(ms, b); !errors.Is(err, protocol.ErrBadSignature) || got != (protocol.Receipt{}) {
			t.Errorf("%s: %v", name, err)
		}
	}
	c, h, l, s := multikey(key), number(7), link(record), bytesOf(r.Sig[:])
	for name, b := range map[string][]byte{
		"nothing":            nil,
		"height 0":           signedReceipt(domain, ms, 0, record, key),
		"over the height":    signedReceipt(domain, ms, protocol.MaxHeight+1, record, key),
		"no record":          signedReceipt(domain, ms, 7, protocol.ID{}, key),
		"trailing":           append(slices.Clone(b), 0),
		"over the cap":       append(slices.Clone(b), make([]byte, protocol.MaxReceipt)...),
		"another field":      receiptMap("c", c, "h", h, "r", l, "t", s),
		"a field too few":    receiptMap("c", c, "h", h, "r", l),
		"a field too many":   receiptMap("c", c, "h", h, "r", l, "s", s, "t", h),
		"in another order":   receiptMap("h", h, "c", c, "r", l, "s", s),
		"a short signature":  receiptMap("c", c, "h", h, "r", l, "s", bytesOf(r.Sig[:63])),
		"another algorithm":  receiptMap("c", bytesOf(make([]byte, 34)), "h", h, "r", l, "s", s),
		"a list, not a map":  array(c, h, l, s),
		"a number not short": receiptMap("c", c, "h", []byte{0x18, 7}, "r", l, "s", s),
	} {
		if got, err := protocol.ParseReceipt(ms, b); !errors.Is(err, protocol.ErrMalformed) || got != (protocol.Receipt{}) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Whatever a clerk signs in the agreement, and whatever a device signs as a
// record, is no receipt.
func TestReceiptIsNothingElse(t *testing.T) {
	ms, key := testID(1), testKey(1)
	r := protocol.SignReceipt(ms, testID(2), 7, key)
	for _, era := range []protocol.ID{{}, testID(4)} {
		for kind := uint8(protocol.AgreeProposal); kind <= protocol.AgreePrecommit; kind++ {
			s := protocol.Statement{Kind: kind, Height: 7, Value: testID(2), ValidRound: -1, Era: era}
			if identity.Verify(key.Public(), s.Bytes(ms), r.Sig[:]) {
				t.Errorf("a receipt is a statement of kind %d", kind)
			}
			other := r
			other.Sig = key.Sign(s.Bytes(ms))
			if _, err := protocol.ParseReceipt(ms, other.Encode()); !errors.Is(err, protocol.ErrBadSignature) {
				t.Errorf("a statement of kind %d is a receipt: %v", kind, err)
			}
		}
	}
}

// FuzzParseReceipt signs what the fuzzer makes, so that it gets past the
// signature. What is taken is its own one encoding.
func FuzzParseReceipt(f *testing.F) {
	ms, key := testID(1), testKey(1)
	f.Add(protocol.SignReceipt(ms, testID(2), 7, key).Encode(), uint64(7))
	f.Add([]byte{0xa4}, uint64(1)<<40)
	f.Fuzz(func(t *testing.T, b []byte, height uint64) {
		for _, in := range [][]byte{b, protocol.SignReceipt(ms, protocol.Sum(b), height, key).Encode()} {
			r, err := protocol.ParseReceipt(ms, in)
			if err != nil {
				if r != (protocol.Receipt{}) || !errors.Is(err, protocol.ErrMalformed) && !errors.Is(err, protocol.ErrBadSignature) {
					t.Fatalf("%v, %v", r, err)
				}
				continue
			}
			if !bytes.Equal(r.Encode(), in) || len(in) > protocol.MaxReceipt || r.Height == 0 || r.Height > protocol.MaxHeight || r.Record.IsZero() {
				t.Fatalf("taken: %x", in)
			}
		}
	})
}
