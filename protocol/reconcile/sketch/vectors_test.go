package sketch

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"slices"
	"strconv"
	"testing"
)

var update = flag.Bool("update", false, "write the vectors anew")

const vectorsFile = "../../testdata/vectors/sketch.json"

// vectors is the file's form, for readers in any language: bytes and checks in
// hex.
type vectors struct {
	Note    string      `json:"note"`
	Keys    []keyVector `json:"keys"`
	Set     []string    `json:"set"`
	Symbols []string    `json:"symbols"`
	Octaves int         `json:"octaves"`
	Samples string      `json:"samples"`
}

type keyVector struct {
	Key    string `json:"key"`
	Check  string `json:"check"`
	Places []int  `json:"places"`
}

func makeVectors() vectors {
	v := vectors{Note: "Sketches (SPEC §9.3). keys: a key, its check, and all symbols below 131072 that it is mapped to. " +
		"set: the keys of a set. symbols: the first 128 of its sketch. samples: of the first octaves of these."}
	edges := []Key{{}, Key(bytes.Repeat([]byte{0xff}, KeySize)), {7: 1}, {15: 1}}
	for _, k := range append(edges, keysOf(1, 12)...) {
		c := symbolOf(k).check
		v.Keys = append(v.Keys, keyVector{hex.EncodeToString(k[:]), fmt.Sprintf("%016x", c), placesBelow(c, MaxLen)})
	}
	keys := keysOf(2, 50)
	for _, k := range keys {
		v.Set = append(v.Set, hex.EncodeToString(k[:]))
	}
	s := sketchOf(128, keys...)
	for i := range s {
		v.Symbols = append(v.Symbols, hex.EncodeToString(Append(nil, s[i:i+1])))
	}
	v.Octaves = OctavesOf(len(s))
	v.Samples = hex.EncodeToString(Samples(s, v.Octaves))
	return v
}

// TestVectors: the symbols of known keys are what they were. What is read is
// checked, not only compared with what would be written.
func TestVectors(t *testing.T) {
	if *update {
		b, err := json.MarshalIndent(makeVectors(), "", "  ")
		if err == nil {
			err = os.WriteFile(vectorsFile, append(b, '\n'), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(vectorsFile)
	if err != nil {
		t.Fatal(err)
	}
	var v vectors
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	if len(v.Keys) < 16 || len(v.Symbols) != 128 || v.Octaves != 2 {
		t.Fatalf("%d keys, %d symbols and %d octaves", len(v.Keys), len(v.Symbols), v.Octaves)
	}
	for _, k := range v.Keys {
		c, err := strconv.ParseUint(k.Check, 16, 64)
		if got := symbolOf(keyFrom(t, k.Key)).check; err != nil || got != c || !slices.Equal(placesBelow(got, MaxLen), k.Places) || !slices.Equal(exactPlaces(c, MaxLen), k.Places) {
			t.Errorf("key %s has check %016x and places %v", k.Key, got, placesBelow(got, MaxLen))
		}
	}
	s := make([]Symbol, len(v.Symbols))
	for _, k := range v.Set {
		Toggle(s, keyFrom(t, k))
	}
	for i, want := range v.Symbols {
		if got := hex.EncodeToString(Append(nil, s[i:i+1])); got != want {
			t.Errorf("symbol %d is %s, want %s", i, got, want)
		}
	}
	if got := hex.EncodeToString(Samples(s, v.Octaves)); got != v.Samples {
		t.Errorf("samples %s", got)
	}
}

func keyFrom(t *testing.T, text string) Key {
	b, err := hex.DecodeString(text)
	if err != nil || len(b) != KeySize {
		t.Fatalf("%q is no key", text)
	}
	return Key(b)
}
