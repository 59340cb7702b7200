package bundle

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/dagcbor"
)

// craft makes a file of any blocks after a manifest, every one of them sound.
func craft(t *testing.T, root []byte, blocks ...[]byte) []byte {
	t.Helper()
	section, id := appendSection(nil, root)
	file := append(header(id), section...)
	for _, b := range blocks {
		file, _ = appendSection(file, b)
	}
	return file
}

func manifestOf(t *testing.T, records uint64) []byte {
	t.Helper()
	b, err := Manifest{Metastate: protocol.ID{1}, Records: records}.encode()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func payload(n byte) []byte { return []byte{0xa1, 0x61, 'x', n} }

func signatures(n byte) []byte { return signatureBlock(protocol.Sum(payload(n)), make([]byte, 64)) }

// One record's payload with another's signatures is neither record.
func TestHalvesOfTwoRecords(t *testing.T) {
	r, err := NewReader(bytes.NewReader(craft(t, manifestOf(t, 2), payload(1), signatures(2))))
	if err != nil {
		t.Fatal(err)
	}
	var named []protocol.ID
	for it, p := range r.All() {
		if p == nil {
			t.Fatalf("read as record %s", it.ID)
		}
		named = append(named, p.ID)
	}
	if !slices.Equal(named, []protocol.ID{protocol.Sum(payload(1)), protocol.Sum(payload(2))}) {
		t.Errorf("named %v", named)
	}
}

// What no record can be is named, though its block is sound.
func TestVerifyNamesMalformedRecords(t *testing.T) {
	big := append([]byte{0xa1, 0x61, 'x'}, dagcbor.AppendBytes(nil, make([]byte, protocol.MaxInner))...)
	for name, c := range map[string]struct {
		payload []byte
		says    string
	}{
		"not a record": {payload(1), "malformed"}, "too big": {big, "over the cap"},
	} {
		file := craft(t, manifestOf(t, 1), c.payload, signatureBlock(protocol.Sum(c.payload), make([]byte, 64)))
		rep, err := Verify(bytes.NewReader(file))
		if err != nil || rep.Records != 0 || len(rep.Problems) == 0 {
			t.Fatalf("%s: %+v, %v", name, rep, err)
		}
		if p := &rep.Problems[len(rep.Problems)-1]; p.ID != protocol.Sum(c.payload) || !strings.Contains(p.Error(), c.says) || !strings.Contains(p.Error(), p.ID.String()) {
			t.Errorf("%s: %v", name, p)
		}
	}
	if p := (&Problem{Offset: 7, Reason: "gone"}).Error(); p != "bundle: at byte 7: gone" {
		t.Error(p)
	}
}

func TestReportIsBounded(t *testing.T) {
	const extra = 3
	blocks := make([][]byte, MaxProblems+extra)
	for i := range blocks { // payloads without signatures
		blocks[i] = append([]byte{0xa1, 0x61, 'x'}, dagcbor.AppendUint(nil, uint64(i))...)
	}
	rep, err := Verify(bytes.NewReader(craft(t, manifestOf(t, uint64(len(blocks))), blocks...)))
	if err != nil || rep.OK() || len(rep.Problems) != MaxProblems || rep.Unlisted != extra {
		t.Errorf("%d problems, %d more, %v", len(rep.Problems), rep.Unlisted, err)
	}
}

// SPEC §9.2: the root is a manifest of this format and version, every field
// written, none besides.
func TestRootMustBeAManifest(t *testing.T) {
	good := manifestBlock{format, Version, protocol.ID{1}, 0, 0, 0, identity.Digest{}}
	for name, change := range map[string]func(*manifestBlock){
		"another format":  func(m *manifestBlock) { m.Format = "metastate minutes" },
		"another version": func(m *manifestBlock) { m.Version = 2 },
		"no metastate":    func(m *manifestBlock) { m.Metastate = protocol.ID{} },
	} {
		m := good
		change(&m)
		b, err := dagcbor.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := NewReader(bytes.NewReader(craft(t, b))); !errors.Is(err, ErrNotBundle) {
			t.Errorf("%s: %v", name, err)
		}
	}
	short, err := dagcbor.Marshal(struct {
		Format    string          `cbor:"format"`
		Version   uint64          `cbor:"version"`
		Metastate protocol.ID     `cbor:"metastate"`
		Digest    identity.Digest `cbor:"digest"`
	}{format, Version, protocol.ID{1}, identity.Digest{}})
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{"fields missing": short, "a map of something": payload(1)} {
		if _, err := NewReader(bytes.NewReader(craft(t, b))); !errors.Is(err, ErrNotBundle) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// CAR files of others are told from files that are no CAR at all.
func TestForeign(t *testing.T) {
	head := []byte("\x11\xa2\x65roots\x80\x67version\x01")
	for name, c := range map[string]struct {
		file []byte
		want error
	}{
		"header alone":          {head, ErrNotBundle},
		"a section of theirs":   {append(slices.Clone(head), 5, 1, 2, 3, 4, 5), ErrNotBundle},
		"an empty section":      {append(slices.Clone(head), 0), ErrNotCAR},
		"a section of 16 MiB":   {binary.AppendUvarint(slices.Clone(head), 16<<20), ErrNotCAR},
		"a section's head cut":  {append(slices.Clone(head), 0x80), ErrNotCAR},
		"header cut short":      {head[:10], ErrNotCAR},
		"no version":            {[]byte("\x08\xa1\x65roots\x80"), ErrNotCAR},
		"version 2":             {[]byte("\x11\xa2\x65roots\x80\x67version\x02"), ErrNotCAR},
		"more after the map":    {[]byte("\x12\xa2\x65roots\x80\x67version\x01\x00"), ErrNotCAR},
		"header of 8 KiB and 1": {append(binary.AppendUvarint(nil, maxForeignHeader+1), make([]byte, 9000)...), ErrNotCAR},
		"varint without an end": {bytes.Repeat([]byte{0x80}, 20), ErrNotCAR},
	} {
		if _, err := NewReader(bytes.NewReader(c.file)); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
