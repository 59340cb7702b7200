package bundle_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/bundle"
)

// owner returns which record the byte at i belongs to, framing included, or -1.
func (s sample) owner(i int) int {
	n, found := slices.BinarySearch(s.recordsAt, i)
	if found {
		return n
	}
	return n - 1
}

// Whatever byte changes, in content or framing: there is a problem, it names
// the record that the byte belongs to and no other, and every other record is
// read as it was.
func TestEveryFlippedByteIsNamed(t *testing.T) {
	s := pack(t, community(t, 7), []byte("first certificate"), []byte("second certificate"))
	for i := range s.file {
		for _, mask := range []byte{1 << (i % 8), 0xff}[:1+(i+1)%2] {
			file := slices.Clone(s.file)
			file[i] ^= mask
			items, problems := contents(t, read(t, file))
			s.checkFlip(t, i, items, problems)
			if t.Failed() {
				t.Fatalf("byte %d of %d changed by %02x", i, len(s.file), mask)
			}
		}
	}
}

func (s sample) checkFlip(t *testing.T, i int, items []bundle.Item, problems []bundle.Problem) {
	t.Helper()
	var hit protocol.ID
	if n := s.owner(i); n >= 0 {
		hit = s.records[n].ID()
	}
	if len(problems) != 1 {
		t.Errorf("problems: %v", problems)
		return
	}
	p := problems[0]
	if p.ID != hit || p.Reason == "" || p.Offset > int64(i) {
		t.Errorf("named %v, should be %v", &p, hit)
	}
	got := inners(items)
	for _, r := range s.records {
		if lost := !bytes.Equal(got[r.ID()], r.Inner()); lost != (r.ID() == hit) {
			t.Errorf("record %s lost: %v", r.ID(), lost)
		}
	}
	certs := len(s.certs)
	if i >= s.certsAt() && i < s.recordsAt[0] {
		certs--
	}
	if n := len(items) - len(got); n != certs {
		t.Errorf("%d certificates, should be %d", n, certs)
	}
}

// certsAt is where certificates start.
func (s sample) certsAt() int {
	at := s.recordsAt[0]
	for _, c := range s.certs {
		at -= 1 + 36 + 3 + len(c) // varint, CID, heads
	}
	return at
}

// In the header the offset is that of the byte itself; in the manifest, its
// block's.
func TestDamagedBeginning(t *testing.T) {
	s := pack(t, community(t, 3))
	const headerSize = 59
	for i := range s.recordsAt[0] {
		file := slices.Clone(s.file)
		file[i] ^= 0x11
		r := read(t, file)
		m, ok := r.Manifest()
		_, problems := contents(t, r)
		if len(problems) != 1 || !problems[0].ID.IsZero() {
			t.Fatalf("byte %d: %v", i, problems)
		}
		want := int64(min(i, headerSize))
		if inHeader := i < headerSize; problems[0].Offset != want || ok != inHeader || (ok && m != s.manifest) {
			t.Fatalf("byte %d: manifest %v, %v", i, ok, problems)
		}
	}
}

// Cut anywhere: there is a problem, in a cut record its name, else the offset
// of the end and how many are missing; and all that is whole is read.
func TestEveryTruncationIsReported(t *testing.T) {
	s := pack(t, community(t, 7), []byte("certificate"))
	if _, err := bundle.Verify(bytes.NewReader(nil)); !errors.Is(err, bundle.ErrNotCAR) {
		t.Fatal("an empty file: ", err)
	}
	for n := 1; n < len(s.file); n++ {
		items, problems := contents(t, read(t, s.file[:n]))
		if len(problems) == 0 {
			t.Fatalf("cut to %d of %d bytes: no problem", n, len(s.file))
		}
		last := problems[len(problems)-1]
		whole := max(0, s.owner(n))
		if got := len(inners(items)); got != whole {
			t.Fatalf("cut to %d: %d records, %d are whole", n, got, whole)
		}
		if n > s.recordsAt[0] && whole < len(s.records)-1 {
			if !last.ID.IsZero() || last.Offset != int64(n) || !strings.Contains(last.Reason, "the file lacks ") && !strings.Contains(last.Reason, "the file has none of ") {
				t.Fatalf("cut to %d: %v", n, last.Error())
			}
		}
		if cut := n - s.recordsAt[whole]; n > s.recordsAt[0] && cut >= 2+36 { // varint and CID are there
			if problems[0].ID != s.records[whole].ID() {
				t.Fatalf("cut to %d: %v, in record %s", n, problems, s.records[whole].ID())
			}
		}
	}
}

// Bytes put in or taken out anywhere shift all framing after: only the record
// there is lost.
func TestInsertedAndRemovedBytes(t *testing.T) {
	s := pack(t, community(t, 6))
	rng := rand.New(rand.NewPCG(3, 4))
	for i := s.recordsAt[0] + 1; i < len(s.file)-1; i += 7 {
		for name, file := range map[string][]byte{
			"one in":   slices.Insert(slices.Clone(s.file), i, byte(rng.Uint32())),
			"many in":  slices.Insert(slices.Clone(s.file), i, bytes.Repeat([]byte{0xa5}, 20_000)...),
			"one out":  slices.Delete(slices.Clone(s.file), i, i+1),
			"many out": slices.Delete(slices.Clone(s.file), i, min(i+30, s.recordsAt[s.owner(i)+1])),
		} {
			items, problems := contents(t, read(t, file))
			if bytes.Equal(file, s.file) {
				t.Fatal("nothing changed")
			}
			got := inners(items)
			for n, r := range s.records {
				near := n == s.owner(i) || n == s.owner(i-1)
				if !near && !bytes.Equal(got[r.ID()], r.Inner()) {
					t.Fatalf("%s at %d: record %d lost", name, i, n)
				}
			}
			if len(problems) == 0 {
				t.Fatalf("%s at %d: no problem", name, i)
			}
		}
	}
}

// Records left out, swapped or added whole leave every block sound: the
// manifest tells.
func TestManifestTells(t *testing.T) {
	s := pack(t, community(t, 6), []byte("certificate"))
	cut := func(n int) []byte { return s.file[s.recordsAt[n]:s.recordsAt[n+1]] }
	head := s.file[:s.recordsAt[0]]
	rest := s.file[s.recordsAt[2]:]
	for name, c := range map[string]struct {
		file []byte
		says string
	}{
		"left out":            {slices.Concat(head, cut(1), rest), "lacks 1 of the 9 records"},
		"swapped":             {slices.Concat(head, cut(1), cut(0), rest), "digest"},
		"twice for another":   {slices.Concat(head, cut(0), cut(0), rest), "digest"},
		"added":               {slices.Concat(s.file, cut(0)), "has 10 records and should have 9"},
		"certificate missing": {slices.Concat(s.file[:s.certsAt()], s.file[s.recordsAt[0]:]), "has none of the 1 certificate that"},
		"certificate added":   {slices.Concat(head, s.file[s.certsAt():]), "has 2 certificates and should have 1"},
	} {
		items, problems := contents(t, read(t, c.file))
		if len(problems) != 1 || !strings.Contains(problems[0].Reason, c.says) || len(items) < 8 {
			t.Errorf("%s: %v", name, problems)
		}
	}
}

// Halves without each other, each block sound.
func TestHalvesAreNamed(t *testing.T) {
	s := pack(t, community(t, 3))
	start := s.recordsAt[1]
	n, width := binary.Uvarint(s.file[start:])
	middle := start + width + int(n)
	id := s.records[1].ID()
	for name, c := range map[string]struct {
		file []byte
		says string
	}{
		"no signatures": {slices.Delete(slices.Clone(s.file), middle, s.recordsAt[2]), "signatures are missing"},
		"no payload":    {slices.Delete(slices.Clone(s.file), start, middle), "payload is missing"},
		"no signatures at the end": {func() []byte {
			last := s.recordsAt[len(s.records)-1]
			n, width := binary.Uvarint(s.file[last:])
			return s.file[:last+width+int(n)]
		}(), "signatures are missing"},
	} {
		want := id
		if name == "no signatures at the end" {
			want = s.records[len(s.records)-1].ID()
		}
		items, problems := contents(t, read(t, c.file))
		if len(problems) != 1 || problems[0].ID != want || !strings.Contains(problems[0].Reason, c.says) || len(items) != len(s.records)-1 {
			t.Errorf("%s: %v", name, problems)
		}
	}
}

// With nothing after it to name it, a damaged payload goes by its CID, though
// the damage is in the CID's own prefix.
func TestLastPayloadIsNamedByItsCID(t *testing.T) {
	s := pack(t, community(t, 3))
	n := len(s.records) - 1
	last := s.recordsAt[n]
	size, width := binary.Uvarint(s.file[last:])
	for i := range 4 {
		file := slices.Clone(s.file[:last+width+int(size)])
		file[last+width+i] ^= 0x40
		if _, problems := contents(t, read(t, file)); len(problems) != 1 || problems[0].ID != s.records[n].ID() {
			t.Errorf("byte %d of the CID: %v", i, problems)
		}
	}
}

// CAR files of others, good and bad (ipld/go-car's own test inputs).
func TestOtherFiles(t *testing.T) {
	for name, want := range map[string]error{
		"simple-unixfs.car": bundle.ErrNotBundle, "badheaderlength.car": bundle.ErrNotCAR, "badsectionlength.car": bundle.ErrNotCAR,
	} {
		path := filepath.Join("..", "..", "..", "shared", "testdata", "car", name)
		b, err := os.ReadFile(path)
		if errors.Is(err, os.ErrNotExist) {
			t.Skipf("outside vectors ../shared/testdata/car/%s are not here", name)
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, err := bundle.Verify(bytes.NewReader(b)); !errors.Is(err, want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, b := range map[string][]byte{
		"text": []byte("dear Anna, here are the minutes"), "zeroes": make([]byte, 1<<20), "one byte": {0x3b},
		"long varint": bytes.Repeat([]byte{0xff}, 100), "CAR of version 2": []byte("\x0a\xa1\x67version\x02"),
	} {
		if _, err := bundle.Verify(bytes.NewReader(b)); !errors.Is(err, bundle.ErrNotCAR) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
