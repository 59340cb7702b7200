package dagcbor

import (
	"bytes"
	"errors"
	"math/big"
	"testing"

	"github.com/fxamacker/cbor/v2"
)

// walk calls visit for v and everything in it.
func walk(v any, visit func(any)) {
	visit(v)
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			walk(e, visit)
		}
	case map[any]any:
		for k, e := range v {
			walk(k, visit)
			walk(e, visit)
		}
	case cbor.Tag:
		walk(v.Content, visit)
	}
}

// inProfile is the profile written against decoded values: no floats, no tags
// but links, no big numbers past 64 bits, text keys only.
func inProfile(v any) bool {
	ok := true
	walk(v, func(v any) {
		switch v := v.(type) {
		case nil, bool, uint64, int64, []byte, string, []any:
		case big.Int:
			ok = ok && v.Sign() < 0 && new(big.Int).Not(&v).BitLen() <= 64 // below -2^63
		case map[any]any:
			for k := range v {
				_, text := k.(string)
				ok = ok && text
			}
		case cbor.Tag:
			b, isBytes := v.Content.([]byte)
			ok = ok && v.Number == tagLink && isBytes && len(b) > 0 && b[0] == 0 && validCID(b[1:])
		default:
			ok = false
		}
	})
	return ok
}

// FuzzCheck compares Check with an oracle made of other code: the CBOR library
// reads the bytes, the value is in the profile, and writes the same bytes.
func FuzzCheck(f *testing.F) {
	for _, h := range canonical {
		f.Add(unhex(f, h))
	}
	for _, c := range notCanonical {
		if len(c.hex) < 1000 {
			f.Add(unhex(f, c.hex))
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		err := Check(b)
		if err != nil && !errors.Is(err, ErrNotCanonical) {
			t.Fatalf("an error of no kind: %v", err)
		}
		var v any
		oracle := decMode.Unmarshal(b, &v) == nil && inProfile(v)
		if oracle {
			again, err := encMode.Marshal(v)
			oracle = err == nil && bytes.Equal(again, b)
		}
		if (err == nil) != oracle {
			t.Fatalf("Check says %v, the oracle %v: %x", err, oracle, b)
		}
		r := NewReader(b)
		if raw := r.Raw(); err == nil && !bytes.Equal(raw, b) {
			t.Fatalf("Raw gave %x of %x", raw, b)
		}
	})
}
