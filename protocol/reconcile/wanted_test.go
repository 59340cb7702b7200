package reconcile

import (
	"bytes"
	"errors"
	"slices"
	"testing"
)

func TestWanted(t *testing.T) {
	name := [32]byte{1}
	_, b := large(100, 2)
	lb := b.local()
	var ids [][32]byte
	var keys [][16]byte
	for id := range b[name].All() {
		if ids = append(ids, id); len(ids) == 3 {
			break
		}
	}
	for _, id := range ids {
		keys = append(keys, [16]byte(id[:]))
	}
	list := []Wanted{{name, append(slices.Clone(keys), [16]byte{9})}, {[32]byte{7}, keys}}
	parsed, err := ParseWanted(AppendWanted(nil, list))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := lb.Find(parsed); err != nil || !slices.Equal(got, ids) {
		t.Errorf("%d ids found: %v", len(got), err)
	}
	for what, bad := range map[string][]byte{
		"nothing":       nil,
		"no keys":       AppendWanted(nil, []Wanted{{Set: name}}),
		"too many keys": AppendWanted(nil, []Wanted{{name, make([][16]byte, MaxWanted)}, {name, make([][16]byte, 1)}}),
		"half a key":    slices.Concat([]byte{0x81, 0x82, 0x58, 32}, name[:], []byte{0x41, 1}),
		"no name":       {0x81, 0x82, 0x40, 0x50, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
		"bytes after":   append(AppendWanted(nil, list), 0),
	} {
		if _, err := ParseWanted(bad); !errors.Is(err, ErrProtocol) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func FuzzWanted(f *testing.F) {
	f.Add(AppendWanted(nil, []Wanted{{[32]byte{1}, make([][16]byte, 3)}, {[32]byte{2}, make([][16]byte, 1)}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		list, err := ParseWanted(b)
		if err != nil {
			if !errors.Is(err, ErrProtocol) {
				t.Fatal(err)
			}
			return
		}
		n := 0
		for _, w := range list {
			n += len(w.Keys)
		}
		if n > MaxWanted || !bytes.Equal(AppendWanted(nil, list), b) {
			t.Fatalf("%d keys, or %x has another form", n, b)
		}
	})
}
