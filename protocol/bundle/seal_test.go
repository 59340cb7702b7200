package bundle_test

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/bundle"
)

var epoch = [32]byte{'e', 'p', 'o', 'c', 'h'}

// seal seals a file under the epoch's secret.
func seal(t testing.TB, file []byte) []byte {
	t.Helper()
	return sealWith(t, file, bundle.NewSeal(bundle.WithEpoch), epoch)
}

func sealWith(t testing.TB, file []byte, s bundle.Seal, secret [32]byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := bundle.NewSealer(&b, s, secret)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(file); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func opener(t testing.TB, file []byte) *bundle.Opener {
	t.Helper()
	if !bundle.IsSealed(bufio.NewReader(bytes.NewReader(file))) {
		t.Fatal("it is not told to be sealed")
	}
	o, err := bundle.NewOpener(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// unlock reads a sealed file as far as it can be.
func unlock(t testing.TB, file []byte) (items []bundle.Item, problems []bundle.Problem) {
	t.Helper()
	o := opener(t, file)
	if err := o.Unlock(epoch); err != nil {
		t.Fatal(err)
	}
	r, err := bundle.NewSealedReader(o)
	if err != nil {
		t.Fatal(err)
	}
	return contents(t, r)
}

func check(t testing.TB, file []byte) bundle.Report {
	t.Helper()
	r, err := opener(t, file).Check()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// blocks are the sections of a sealed file after its root, with their framing.
func blocks(t testing.TB, file []byte) (before []byte, sections [][]byte) {
	t.Helper()
	rest := file
	take := func() []byte {
		n, width := binary.Uvarint(rest)
		s := rest[:width+int(n)]
		rest = rest[len(s):]
		return s
	}
	before = slices.Concat(take(), take())
	for len(rest) > 0 {
		sections = append(sections, take())
	}
	return before, sections
}

// framed is a sealed block in a section that matches it.
func framed(block []byte) []byte {
	id := protocol.Sum(block)
	return slices.Concat(binary.AppendUvarint(nil, uint64(36+len(block))), []byte{1, 0x55, 0x12, 0x20}, id[:], block)
}

func blockOf(section []byte) []byte {
	_, width := binary.Uvarint(section)
	return slices.Clone(section[width+36:])
}

// renumbered is a section with a sealed block that says another place of itself.
func renumbered(section []byte, index uint32, last byte) []byte {
	b := blockOf(section)
	binary.BigEndian.PutUint32(b, index)
	b[4] = last
	return framed(b)
}

// What is sealed comes out as it went in, with the secret, and shows nothing of it
// without.
func TestSealed(t *testing.T) {
	s := pack(t, community(t, 500), bytes.Repeat([]byte("certificate"), 20_000))
	file := seal(t, s.file)
	items, problems := unlock(t, file)
	if len(problems) != 0 || len(items) != 1+len(s.records) || !bytes.Equal(items[0].Certificate, s.certs[0]) {
		t.Fatalf("%d items, %v", len(items), problems)
	}
	got := inners(items)
	for _, r := range s.records {
		if !bytes.Equal(got[r.ID()], r.Inner()) {
			t.Fatalf("record %s is not as it was", r.ID())
		}
	}
	o := opener(t, file)
	if err := o.Unlock(epoch); err != nil {
		t.Fatal(err)
	}
	if r, err := bundle.VerifySealed(o); err != nil || !r.OK() || r.Records != uint64(len(s.records)) || r.Bytes != int64(len(file)) || r.Metastate != s.manifest.Metastate {
		t.Errorf("%+v, %v", r, err)
	}
	if r := check(t, file); !r.OK() || r.Bytes != int64(len(file)) || r.Records != 0 {
		t.Errorf("without a key: %+v", r)
	}
	id := s.manifest.Metastate
	if bytes.Contains(file, id[:]) || bytes.Contains(file, []byte("certificate")) {
		t.Error("it shows what it seals")
	}
	if bytes.Equal(seal(t, s.file), file) {
		t.Error("the same sealed twice is the same")
	}
	if _, err := bundle.NewReader(bytes.NewReader(file)); !errors.Is(err, bundle.ErrNotBundle) {
		t.Errorf("taken for one that is not sealed: %v", err)
	}
	if _, err := bundle.NewOpener(bytes.NewReader(s.file)); !errors.Is(err, bundle.ErrNotSealed) {
		t.Errorf("one that is not sealed is opened: %v", err)
	}
}

// Another secret opens nothing, and then the right one does.
func TestSealedOtherKey(t *testing.T) {
	s := pack(t, community(t, 3))
	o := opener(t, seal(t, s.file))
	if err := o.Unlock([32]byte{1}); !errors.Is(err, bundle.ErrOtherKey) {
		t.Fatal(err)
	}
	if err := o.Unlock(epoch); err != nil {
		t.Fatal(err)
	}
	if r, err := bundle.VerifySealed(o); err != nil || !r.OK() {
		t.Errorf("%+v, %v", r, err)
	}
	// The same secret under another name is another key.
	by := bundle.NewSeal(bundle.WithPassphrase)
	if err := opener(t, sealWith(t, s.file, by, epoch)).Unlock(epoch); err != nil {
		t.Error(err)
	}
	envelope, sections := blocks(t, sealWith(t, s.file, by, epoch))
	other, _ := blocks(t, sealWith(t, s.file, bundle.NewSeal(bundle.WithEpoch), epoch))
	if bytes.Equal(envelope, other) {
		t.Fatal("two seals are one")
	}
	if err := opener(t, slices.Concat(other, sections[0])).Unlock(epoch); !errors.Is(err, bundle.ErrOtherKey) {
		t.Errorf("blocks of one bundle open in another: %v", err)
	}
}

func TestSealedWithPassphrase(t *testing.T) {
	s := pack(t, community(t, 3))
	by := bundle.NewSeal(bundle.WithPassphrase)
	if _, err := by.Stretch([]byte("short")); !errors.Is(err, bundle.ErrPassphrase) {
		t.Error(err)
	}
	secret, err := by.Stretch([]byte("correct horse"))
	if err != nil {
		t.Fatal(err)
	}
	o := opener(t, sealWith(t, s.file, by, secret))
	if o.Seal() != by {
		t.Errorf("%+v", o.Seal())
	}
	wrong, err := o.Seal().Stretch([]byte("battery staple"))
	if err != nil {
		t.Fatal(err)
	}
	if err := o.Unlock(wrong); !errors.Is(err, bundle.ErrOtherKey) {
		t.Error(err)
	}
	again, err := o.Seal().Stretch([]byte("correct horse"))
	if err != nil || o.Unlock(again) != nil {
		t.Error("the passphrase does not open it: ", err)
	}
}

// Any changed byte, and any truncation, shows without a key.
func TestSealedDamageShowsWithoutKey(t *testing.T) {
	file := seal(t, pack(t, community(t, 130)).file)
	_, sections := blocks(t, file)
	if len(sections) < 2 {
		t.Fatalf("%d blocks are too few", len(sections))
	}
	keyless := func(b []byte) bool {
		o, err := bundle.NewOpener(bytes.NewReader(b))
		if errors.Is(err, bundle.ErrNotSealed) {
			r, err := bundle.Verify(bytes.NewReader(b)) // its root is damaged: it is no bundle any more, or a bad one
			return err != nil || !r.OK()
		}
		r, err := o.Check()
		return err != nil || !r.OK()
	}
	step := 1
	for at := 0; at < len(file); at += step {
		if at == 300 { // all of the beginning, some of the rest
			step = 991
		}
		b := slices.Clone(file)
		b[at] ^= 4
		if !keyless(b) {
			t.Errorf("byte %d changed, and nothing shows", at)
		}
		if at > 0 && !keyless(file[:at]) {
			t.Errorf("cut to %d bytes, and nothing shows", at)
		}
	}
	before := file[:len(file)-len(slices.Concat(sections...))]
	for name, b := range map[string][]byte{
		"blocks in another order":       slices.Concat(before, sections[1], sections[0]),
		"a block twice":                 slices.Concat(before, sections[0], slices.Concat(sections...)),
		"the first block gone":          slices.Concat(before, slices.Concat(sections[1:]...)),
		"the last block gone":           slices.Concat(before, slices.Concat(sections[:len(sections)-1]...)),
		"something after the last":      slices.Concat(file, sections[0]),
		"a next one after the last":     slices.Concat(file, renumbered(sections[0], uint32(len(sections)), 1)),
		"no blocks":                     before,
		"a short block that is no last": slices.Concat(before, framed(blockOf(sections[0])[:100]), slices.Concat(sections[1:]...)),
		"a block of another sort":       slices.Concat(before, framed([]byte("x")), slices.Concat(sections...)),
	} {
		if !keyless(b) {
			t.Errorf("%s: nothing shows", name)
		}
	}
}

// A lost block costs the records in it, and those after are found; also the
// first, in which the manifest is.
func TestSealedLostBlock(t *testing.T) {
	s := pack(t, community(t, 500))
	before, sections := blocks(t, seal(t, s.file))
	for i := range sections {
		var at int64 = int64(len(before))
		for _, sec := range sections[:i] {
			at += int64(len(sec))
		}
		flipped := slices.Clone(sections[i])
		flipped[len(flipped)/2] ^= 1
		for name, b := range map[string][]byte{
			"damaged": flipped, "gone": nil, "cut": sections[i][:len(sections[i])/2],
		} {
			list := slices.Clone(sections)
			list[i] = b
			items, problems := unlock(t, slices.Concat(before, slices.Concat(list...)))
			lost := len(s.records) - len(inners(items))
			if most := 65536/400 + 2; lost == 0 || lost > most {
				t.Errorf("block %d %s: %d records lost", i, name, lost)
			}
			if len(problems) == 0 || !slices.ContainsFunc(problems, func(p bundle.Problem) bool { return p.Offset >= at-70_000 && p.Offset <= at+70_000 }) {
				t.Errorf("block %d at %d %s: %v", i, at, name, problems)
			}
		}
	}
}

// Who can write the file and has no key can put nothing in another place: the
// place and the end of a bundle are part of what is authenticated.
func TestSealedPlacesAreBound(t *testing.T) {
	before, sections := blocks(t, seal(t, pack(t, community(t, 500)).file))
	if len(sections) < 4 {
		t.Fatalf("%d blocks", len(sections))
	}
	for name, list := range map[string][][]byte{
		"swapped":           {sections[0], renumbered(sections[2], 1, 0), renumbered(sections[1], 2, 0)},
		"ended early":       {sections[0], renumbered(sections[1], 1, 1)},
		"a last that is no": append(slices.Clone(sections[:len(sections)-1]), renumbered(sections[len(sections)-1], uint32(len(sections)), 1)),
	} {
		file := slices.Concat(before, slices.Concat(list...))
		if _, problems := unlock(t, file); !slices.ContainsFunc(problems, func(p bundle.Problem) bool {
			return p.Reason == "a sealed block that does not open: it was changed on purpose"
		}) {
			t.Errorf("%s: %v", name, problems)
		}
	}
}

// Two equal blocks are sealed to two different ones.
func TestSealedBlocksDiffer(t *testing.T) {
	_, sections := blocks(t, seal(t, make([]byte, 2*65536)))
	if a, b := blockOf(sections[0])[5:], blockOf(sections[1])[5:]; len(a) != len(b) || bytes.Equal(a[:64], b[:64]) {
		t.Error("a nonce is used twice")
	}
}

// Whatever is written in whatever pieces comes out, in full blocks but the last.
func TestSealerPieces(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		size := rapid.SampledFrom([]int{0, 1, 65535, 65536, 65537, 131072, 200_000}).Draw(rt, "size")
		body := make([]byte, size)
		for i := range body {
			body[i] = byte(i * 7)
		}
		var b bytes.Buffer
		w, err := bundle.NewSealer(&b, bundle.NewSeal(bundle.WithEpoch), epoch)
		if err != nil {
			rt.Fatal(err)
		}
		for rest := body; len(rest) > 0; {
			n := min(len(rest), rapid.IntRange(1, 100_000).Draw(rt, "piece"))
			if k, err := w.Write(rest[:n]); k != n || err != nil {
				rt.Fatal(k, err)
			}
			rest = rest[n:]
		}
		if err := w.Close(); err != nil {
			rt.Fatal(err)
		}
		if _, err := w.Write([]byte("more")); err == nil {
			rt.Fatal("writes after the end")
		}
		if want := max(1, (size+65535)/65536); blockCount(t, b.Bytes()) != want {
			rt.Fatalf("%d blocks of %d bytes", blockCount(t, b.Bytes()), size)
		}
		if r := check(t, b.Bytes()); !r.OK() {
			rt.Fatal(r.Problems)
		}
	})
}

func blockCount(t testing.TB, file []byte) int {
	_, sections := blocks(t, file)
	return len(sections)
}

// FuzzOpener opens anything. What it yields undamaged is so.
func FuzzOpener(f *testing.F) {
	file := seal(f, pack(f, community(f, 3), []byte("certificate")).file)
	f.Add(file)
	f.Add(file[:len(file)-20])
	f.Add(slices.Delete(slices.Clone(file), 300, 310))
	f.Add(slices.Concat(file, file[200:]))
	f.Fuzz(func(t *testing.T, b []byte) {
		o, err := bundle.NewOpener(bytes.NewReader(b))
		if err != nil {
			if !errors.Is(err, bundle.ErrNotSealed) {
				t.Fatal(err)
			}
			return
		}
		if err := o.Unlock(epoch); err != nil {
			if !errors.Is(err, bundle.ErrOtherKey) {
				t.Fatal(err)
			}
			return
		}
		r, err := bundle.NewSealedReader(o)
		if err != nil {
			return
		}
		items, problems := contents(t, r)
		for _, it := range items {
			if it.Offset < 0 || it.Offset > int64(len(b)) {
				t.Fatalf("an item at byte %d", it.Offset)
			}
		}
		for _, p := range problems {
			if p.Reason == "" || p.Offset < 0 || p.Offset > int64(len(b)) {
				t.Fatalf("problem %+v", p)
			}
		}
		keyless, err := bundle.NewOpener(bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		if report, err := keyless.Check(); err != nil || !report.OK() && len(problems) == 0 {
			t.Fatalf("damaged without the key, sound with it: %+v, %v", report, err)
		}
	})
}

// An error of the underlying reader is no damage.
func TestSealedReadFails(t *testing.T) {
	file := seal(t, pack(t, community(t, 500)).file)
	broken := errors.New("the disk is gone")
	o, err := bundle.NewOpener(io.MultiReader(bytes.NewReader(file[:100_000]), failing{broken}))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := o.Check(); !errors.Is(err, broken) {
		t.Error(err)
	}
	if _, err := bundle.NewOpener(failing{broken}); !errors.Is(err, broken) {
		t.Error(err)
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }
