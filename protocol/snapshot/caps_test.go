package snapshot_test

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/certificate"
	"github.com/metastate-p2p/metastate/protocol/dagcbor"
	"github.com/metastate-p2p/metastate/protocol/merkle"
	"github.com/metastate-p2p/metastate/protocol/snapshot"
	"github.com/metastate-p2p/metastate/protocol/state/statetest"
)

// chunkOf encodes strings as a chunk, and gives the digest of keys and values.
func chunkOf(list ...[]byte) (protocol.ID, []byte) {
	b := dagcbor.AppendArray(nil, len(list))
	for _, s := range list {
		b = dagcbor.AppendBytes(b, s)
	}
	d, _ := merkle.Digest(func(yield func([32]byte, []byte) bool) {
		for i := 0; i+1 < len(list); i += 2 {
			var key [32]byte
			copy(key[:], list[i])
			if !yield(key, list[i+1]) {
				return
			}
		}
	})
	return d, b
}

// TestChunkForm: the digest is right in each case; only the form may be wrong.
func TestChunkForm(t *testing.T) {
	one, two := make([]byte, 32), slices.Repeat([]byte{1}, 32)
	half := make([]byte, snapshot.MaxChunk/2)
	for what, x := range map[string]struct {
		list [][]byte
		good bool
	}{
		"one leaf":                {[][]byte{one, {7}}, true},
		"two leaves":              {[][]byte{one, {7}, two, nil}, true},
		"a large leaf":            {[][]byte{one, make([]byte, snapshot.MaxLeaf-100)}, true},
		"too large a leaf":        {[][]byte{one, make([]byte, snapshot.MaxLeaf-10)}, false},
		"two leaves, too large":   {[][]byte{one, half, two, half}, false},
		"a key without a value":   {[][]byte{one, {7}, two}, false},
		"a short key":             {[][]byte{one[:31], {7}}, false},
		"no leaves":               {nil, false},
		"keys that do not ascend": {[][]byte{two, {7}, one, {7}}, false},
	} {
		name, b := chunkOf(x.list...)
		if err := snapshot.CheckChunk(name, b); (err == nil) != x.good {
			t.Errorf("%s: %v", what, err)
		}
		if err := snapshot.CheckChunk(name, append(b, 0)); err == nil {
			t.Errorf("%s, and something after: taken", what)
		}
	}
}

// TestOpenRefusesMixed: what the certificate and the state root name is checked
// before any chunk is asked for.
func TestOpenRefusesMixed(t *testing.T) {
	c := handedOver(t)
	old := newCrowd(t).chain.snapshot().Manifest()
	s := c.snapshot()
	m := s.Manifest()
	other := newChain(t, statetest.Charter(t), "alice").snapshot().Manifest()
	for field, from := range map[string][]byte{"h": other, "o": old, "s": old} {
		if _, err := snapshot.Open(c.w.Genesis, c.lineage(), snapshot.Mixed(m, from, field)); !errors.Is(err, snapshot.ErrManifest) {
			t.Errorf("%s of another: %v", field, err)
		}
	}
	for what, forged := range map[string][]byte{
		"ballots of a fixed kind": snapshot.Retyped(m, snapshot.Members, 0),
		"a kind there is not":     snapshot.Retyped(m, snapshot.Members, snapshot.Covered+1),
		"two of one kind":         snapshot.Twice(m, snapshot.Control),
		"another version":         snapshot.Versioned(m),
	} {
		if _, err := snapshot.Open(c.w.Genesis, c.lineage(), forged); !errors.Is(err, snapshot.ErrManifest) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestMakeRefuses(t *testing.T) {
	c := rich(t)
	h := c.tip.Ref().Height
	rival, err := certificate.ParseCertificate(c.certs[h])
	if err != nil {
		t.Fatal(err)
	}
	value, err := certificate.ParseValue(rival.Value)
	if err != nil {
		t.Fatal(err)
	}
	value.Clerks = value.Clerks[:2]
	if rival.Value, err = value.Encode(); err != nil {
		t.Fatal(err)
	}
	for what, cert := range map[string][]byte{
		"another certificate":              c.certs[h-1],
		"no certificate":                   nil,
		"the certificate of a rival value": rival.Encode(),
	} {
		if _, err := snapshot.Make(c.tip, cert, c.record); err == nil {
			t.Errorf("%s: made", what)
		}
	}
}

// TestManifestForm: what is refused when it is read, whatever it says.
func TestManifestForm(t *testing.T) {
	m := rich(t).snapshot().Manifest()
	if _, ok := snapshot.Again(m); !ok {
		t.Fatal("a good one is refused")
	}
	for what, b := range map[string][]byte{
		"members named":      bytes.Replace(m, []byte{0x84, 1, 0x40}, []byte{0x84, 1, 0x41, 0}, 1),
		"a tree twice":       snapshot.Twice(m, snapshot.Ballots),
		"ballots of no name": snapshot.Renamed(m, snapshot.Ballots, protocol.ID{}),
		"a fixed tree named": snapshot.Retyped(m, snapshot.Ballots, snapshot.Control),
		"too long":           append(bytes.Clone(m), make([]byte, snapshot.MaxManifest)...),
	} {
		if _, ok := snapshot.Again(b); ok {
			t.Errorf("%s: read", what)
		}
	}
}
