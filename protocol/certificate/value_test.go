package certificate

import (
	"bytes"
	"encoding/hex"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/dagcbor"
)

func ids(n int, label string) []protocol.ID {
	out := make([]protocol.ID, n)
	for i := range out {
		out[i] = protocol.Sum([]byte{byte(i), byte(i >> 8), label[0]})
	}
	slices.SortFunc(out, func(a, b protocol.ID) int { return bytes.Compare(a[:], b[:]) })
	return out
}

// fullValue has every field and list in use.
func fullValue() Value {
	v := testValue(4, "full")
	v.Height, v.Prev = 2, protocol.Sum([]byte("prev"))
	v.Control.Frontier = ids(3, "f")
	v.Control.Chunks, v.Control.Count = ids(1, "c"), 9
	subjects := ids(2, "s")
	v.Subjects = []Subject{
		{Subject: subjects[0], Count: 500, Chunks: ids(2, "d")},
		{Subject: subjects[1], Digest: [32]byte{1}, Count: 1, Chunks: ids(1, "e")},
	}
	v.Closings = []Closing{{Poll: subjects[0], Count: 0, Result: protocol.Sum([]byte("result"))}}
	v.Recall, v.Last = ids(1, "v"), protocol.Sum([]byte("last"))
	return v
}

func TestValueRoundTrip(t *testing.T) {
	for _, v := range []Value{fullValue(), testValue(1, "first")} {
		b := mustEncode(t, v)
		got, err := ParseValue(b)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, v) {
			t.Fatalf("read back\n%+v, want\n%+v", got, v)
		}
		if again := mustEncode(t, got); !bytes.Equal(again, b) {
			t.Fatal("encodes differently again")
		}
	}
}

// SPEC §7.1: fixed bytes are byte strings, keys sort, absent prev is absent.
func TestValueEncodingIsPinned(t *testing.T) {
	b := mustEncode(t, testValue(1, "first"))
	r := dagcbor.NewReader(b)
	if n := r.Map(11); n != 10 {
		t.Fatalf("%d pairs at height 1, want 10", n)
	}
	for _, want := range []string{
		"6172" + "5820", // r: byte string(32)
		"6164" + "5820", // d: byte string(32)
		"616b" + "5822", // k: byte string(34), a multikey
		"6168" + "01",   // h: 1
	} {
		if !strings.Contains(hex.EncodeToString(b), want) {
			t.Errorf("encoding lacks %s", want)
		}
	}
	const pinned = "bafyreig6fzmvsqbvqzq3w46jztgqjsb7vyggkrwzrml734twqacri6mcda"
	if id := protocol.Sum(b).String(); id != pinned {
		t.Errorf("id is %s, want %s: a value's encoding must not change within a version", id, pinned)
	}
}

func TestValueRefuses(t *testing.T) {
	for name, spoil := range map[string]func(*Value){
		"version 0":               func(v *Value) { v.Version = 0 },
		"version 2":               func(v *Value) { v.Version = 2 },
		"no metastate":            func(v *Value) { v.Metastate = protocol.ID{} },
		"height 0":                func(v *Value) { v.Height = 0 },
		"no prev":                 func(v *Value) { v.Prev = protocol.ID{} },
		"prev at height 1":        func(v *Value) { v.Height = 1 },
		"asOf 0":                  func(v *Value) { v.AsOf = 0 },
		"asOf negative":           func(v *Value) { v.AsOf = -1 },
		"asOf too late":           func(v *Value) { v.AsOf = MaxAsOf + 1 },
		"no frontier":             func(v *Value) { v.Control.Frontier = nil },
		"frontier too wide":       func(v *Value) { v.Control.Frontier = ids(MaxFrontier+1, "f"); v.Control.Count = 1 << 20 },
		"frontier unsorted":       func(v *Value) { slices.Reverse(v.Control.Frontier) },
		"heads over count":        func(v *Value) { v.Control.Count = 2 },
		"control chunk unnamed":   func(v *Value) { v.Control.Chunks[0] = protocol.ID{} },
		"subject repeated":        func(v *Value) { v.Subjects[1].Subject = v.Subjects[0].Subject },
		"subject untouched":       func(v *Value) { v.Subjects[0].Chunks = nil },
		"subject count too small": func(v *Value) { v.Subjects[0].Count = 400 },
		"subject chunk unnamed":   func(v *Value) { v.Subjects[0].Chunks[1] = protocol.ID{} },
		"subjects too many": func(v *Value) {
			v.Subjects = nil
			for _, id := range ids(MaxSubjects+1, "s") {
				v.Subjects = append(v.Subjects, Subject{Subject: id, Count: 1, Chunks: ids(1, "c")})
			}
		},
		"covers too much": func(v *Value) {
			v.Subjects[0].Count, v.Subjects[0].Chunks = 1<<20, ids(25, "c")
			v.Subjects[1].Count, v.Subjects[1].Chunks = 1<<20, ids(2, "d")
		},
		"closing without result": func(v *Value) { v.Closings[0].Result = protocol.ID{} },
		"closing repeated":       func(v *Value) { v.Closings = append(v.Closings, v.Closings[0]) },
		"no clerks":              func(v *Value) { v.Clerks = nil },
		"too many clerks":        func(v *Value) { v.Clerks = testClerks(MaxClerks + 1) },
		"clerks unsorted":        func(v *Value) { slices.Reverse(v.Clerks) },
		"clerk key shared":       func(v *Value) { v.Clerks[1].Key = v.Clerks[0].Key },
		"clerk without key":      func(v *Value) { v.Clerks[1].Key = identity.PublicKey{} },
		"two recalls":            func(v *Value) { v.Recall = ids(2, "e") },
		"a recall again":         func(v *Value) { v.Last = v.Recall[0] },
		"a recall before all":    func(v *Value) { v.Height, v.Prev, v.Recall = 1, protocol.ID{}, nil },
	} {
		t.Run(name, func(t *testing.T) {
			v := fullValue()
			v.Subjects[0].Count, v.Subjects[1].Count = 500, 1
			spoil(&v)
			if _, err := v.Encode(); !errors.Is(err, ErrMalformed) {
				t.Errorf("Encode: %v, want ErrMalformed", err)
			}
			b, err := dagcbor.Marshal(v)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := ParseValue(b); !errors.Is(err, ErrMalformed) {
				t.Errorf("ParseValue: %v, want ErrMalformed", err)
			}
		})
	}
}

// A byte string of another length, null, or an array of numbers would each be
// another encoding of the same value, were they taken.
func TestValueRefusesOtherEncodings(t *testing.T) {
	b := mustEncode(t, testValue(1, "first"))
	root := protocol.Sum([]byte("first"))
	field := append([]byte{0x61, 'r', 0x58, 32}, root[:]...)
	if !bytes.Contains(b, field) {
		t.Fatal("the state root is not where it should be")
	}
	for name, instead := range map[string][]byte{
		"short":  append([]byte{0x61, 'r', 0x58, 31}, root[:31]...),
		"long":   append(append([]byte{0x61, 'r', 0x58, 33}, root[:]...), 0),
		"null":   {0x61, 'r', 0xf6},
		"array":  {0x61, 'r', 0x81, 0x01},
		"absent": {},
	} {
		if _, err := ParseValue(bytes.Replace(b, field, instead, 1)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v, want ErrMalformed", name, err)
		}
	}
	if _, err := ParseValue(append(bytes.Clone(b), 0)); !errors.Is(err, ErrMalformed) {
		t.Errorf("trailing byte: %v", err)
	}
	if _, err := ParseValue(make([]byte, MaxValueSize+1)); err == nil || !strings.Contains(err.Error(), "at most") {
		t.Errorf("too long: %v", err)
	}
}

// The caps together fit the size: no cap can be met and the size not.
func TestLargestValueFits(t *testing.T) {
	v := fullValue()
	v.Height, v.AsOf = 1<<63, MaxAsOf
	v.Control.Frontier, v.Control.Count = ids(MaxFrontier, "f"), 1<<63
	v.Control.Chunks = nil
	v.Clerks, v.Recall = testClerks(MaxClerks), ids(1, "e")
	v.Subjects, v.Closings = nil, nil
	spare := MaxNewlyCovered - MaxSubjects // each further chunk lists 400 of these
	for i, id := range ids(MaxSubjects, "s") {
		s := Subject{Subject: id, Count: 1 << 63, Chunks: ids(1, "c")}
		if i == 0 {
			s.Chunks = ids(1+spare/MaxChunk, "c")
		}
		v.Subjects = append(v.Subjects, s)
	}
	for _, id := range ids(MaxClosings, "p") {
		v.Closings = append(v.Closings, Closing{Poll: id, Count: 1 << 63, Result: id})
	}
	b := mustEncode(t, v)
	t.Logf("%d of %d bytes", len(b), MaxValueSize)
	if _, err := ParseValue(b); err != nil {
		t.Fatal(err)
	}
}

func TestChunks(t *testing.T) {
	all := ids(950, "x")
	chunks, err := SplitChunks(all)
	if err != nil || len(chunks) != 3 {
		t.Fatalf("%d chunks, %v; want 3", len(chunks), err)
	}
	held := map[protocol.ID][]byte{}
	var names []protocol.ID
	for _, c := range chunks {
		names = append(names, protocol.Sum(c))
		held[protocol.Sum(c)] = c
	}
	get := func(id protocol.ID) []byte { return held[id] }
	v := fullValue()
	v.Control.Chunks = nil
	v.Subjects = []Subject{{Subject: protocol.ID{1}, Count: 950, Chunks: names}}
	got, err := v.NewlyCovered(get)
	if err != nil || len(got) != 1 || !slices.Equal(got[0].IDs, all) || got[0].Subject != v.Subjects[0].Subject {
		t.Fatalf("read back %d sets, %v", len(got), err)
	}

	refuse := func(name string, names []protocol.ID, count uint64, get func(protocol.ID) []byte) {
		t.Helper()
		v.Subjects[0].Chunks, v.Subjects[0].Count = names, count
		if _, err := v.NewlyCovered(get); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	refuse("order of chunks", []protocol.ID{names[1], names[0], names[2]}, 950, get)
	refuse("chunk before the last not full", []protocol.ID{names[2], names[0]}, 950, get)
	refuse("more ids than counted", names, 949, get)
	refuse("missing chunk", names, 950, func(protocol.ID) []byte { return nil })
	refuse("chunk of another name", names[:1], 950, func(protocol.ID) []byte { return chunks[1] })

	// The cap holds over all sets together.
	v.Subjects[0].Chunks, v.Subjects[0].Count = names, 950
	for i := range 11 {
		v.Subjects = append(v.Subjects, Subject{Subject: protocol.ID{byte(i + 2)}, Count: 950, Chunks: names})
	}
	if _, err := v.NewlyCovered(get); !errors.Is(err, ErrMalformed) {
		t.Errorf("11,400 ids newly covered: %v", err)
	}
}

func TestChunkRefuses(t *testing.T) {
	a, b := protocol.ID{1}, protocol.ID{2}
	raw := func(ids ...protocol.ID) []byte {
		list := make([][32]byte, len(ids))
		for i := range ids {
			list[i] = ids[i]
		}
		return dagcbor.Encode(list)
	}
	for name, bytes := range map[string][]byte{
		"empty":    raw(),
		"repeated": raw(a, a),
		"unsorted": raw(b, a),
		"zero":     raw(protocol.ID{}, a),
		"links":    dagcbor.Encode([]protocol.ID{a, b}),
		"too many": raw(ids(MaxChunk+1, "x")...),
		"trailing": append(raw(a), 0),
	} {
		if _, err := ParseChunk(bytes); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v, want ErrMalformed", name, err)
		}
	}
	if _, err := SplitChunks([]protocol.ID{b, a}); !errors.Is(err, ErrMalformed) {
		t.Errorf("splitting unsorted ids: %v", err)
	}
	if full := raw(ids(MaxChunk, "x")...); len(full) != maxChunkSize {
		t.Errorf("a full chunk is %d bytes, maxChunkSize %d", len(full), maxChunkSize)
	}
}

// SPEC §7.2.
func TestQuorum(t *testing.T) {
	for n, want := range map[int][2]int{
		1: {0, 1}, 2: {0, 2}, 3: {0, 2}, 4: {1, 3}, 5: {1, 4},
		6: {1, 4}, 7: {2, 5}, 10: {3, 7}, 13: {4, 9},
	} {
		if f, q := Quorum(n); f != want[0] || q != want[1] {
			t.Errorf("Quorum(%d) = %d, %d, want %v", n, f, q, want)
		}
	}
	for n := 1; n <= MaxClerks; n++ {
		f, q := Quorum(n)
		if 2*q-n < f+1 {
			t.Errorf("n=%d: two quorums may share no honest clerk", n)
		}
		if n-f < q {
			t.Errorf("n=%d: the honest clerks are no quorum", n)
		}
	}
}
