package vault

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/metastate-p2p/metastate/protocol/dagcbor"
)

// resum returns content with a right checksum: a file as if written so.
func resum(content []byte) []byte {
	sum := sha256.Sum256(content)
	return append(bytes.Clone(content), sum[:]...)
}

// withHeader returns the file with another header and a right checksum.
func withHeader(t testing.TB, file []byte, change func(*header)) []byte {
	t.Helper()
	s, err := parse(file)
	if err != nil {
		t.Fatal(err)
	}
	change(&s.header)
	head, err := dagcbor.Marshal(s.header)
	if err != nil {
		t.Fatal(err)
	}
	content := append([]byte(magic), version)
	content = binary.BigEndian.AppendUint32(content, uint32(len(head)))
	return resum(append(append(content, head...), s.body...))
}

// Every bit of the header, and some of the rest; every length. None of it is
// taken for a wrong passphrase.
func TestDamage(t *testing.T) {
	path := newVault(t)
	file := readFile(t, path)
	s, err := parse(file)
	if err != nil {
		t.Fatal(err)
	}
	for bit := range len(file) * 8 {
		if bit/8 > len(s.aad) && bit%61 != 0 && bit/8 < len(file)-40 {
			continue
		}
		bad := bytes.Clone(file)
		bad[bit/8] ^= 1 << (bit % 8)
		if _, err := parse(bad); !errors.Is(err, ErrDamaged) {
			t.Fatalf("bit %d: %v", bit, err)
		}
	}
	for n := range file {
		if _, err := parse(file[:n]); !errors.Is(err, ErrDamaged) {
			t.Fatalf("%d bytes: %v", n, err)
		}
	}
	for _, bad := range [][]byte{nil, file[:100], append(bytes.Clone(file), 0), make([]byte, maxFile+1)} {
		writeFile(t, path, bad)
		if _, err := Open(path, oldPass); !errors.Is(err, ErrDamaged) {
			t.Errorf("%d bytes: %v", len(bad), err)
		}
	}
}

// Someone who can write the file can make its checksum right, but not have
// another header or body pass.
func TestTampering(t *testing.T) {
	path := newVault(t)
	file := readFile(t, path)
	for name, bad := range map[string][]byte{
		"body":          func() []byte { b := bytes.Clone(file[:len(file)-32]); b[len(b)-1] ^= 1; return resum(b) }(),
		"nonce":         withHeader(t, file, func(h *header) { h.Nonce[0] ^= 1 }),
		"a second slot": withHeader(t, file, func(h *header) { h.Slots = append(h.Slots, h.Slots[0]) }),
	} {
		writeFile(t, path, bad)
		if _, err := Open(path, oldPass); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, bad := range map[string][]byte{
		"salt":   withHeader(t, file, func(h *header) { h.Slots[0].Salt[0] ^= 1 }),
		"wrap":   withHeader(t, file, func(h *header) { h.Slots[0].Wrap[0] ^= 1 }),
		"passes": withHeader(t, file, func(h *header) { h.Slots[0].Passes++ }),
	} {
		writeFile(t, path, bad)
		if _, err := Open(path, oldPass); !errors.Is(err, ErrWrongPassphrase) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The slot's parameters are bound to what it wraps, whatever Argon2 makes of
// them.
func TestSlotBindsItsParams(t *testing.T) {
	key := [keySize]byte{1}
	s, err := newSlot(&key, oldPass, cheap())
	if err != nil {
		t.Fatal(err)
	}
	aad, err := s.aad()
	if err != nil {
		t.Fatal(err)
	}
	s.Memory++
	if changed, _ := s.aad(); bytes.Equal(aad, changed) {
		t.Error("the memory is not in the additional data")
	}
}

// Parameters that ask for too much are refused before Argon2 sees them.
func TestHugeParamsAllocateNothing(t *testing.T) {
	path := newVault(t)
	file := readFile(t, path)
	for name, change := range map[string]func(*slot){
		"64 GiB":     func(s *slot) { s.Memory = 64 << 20 },
		"4 TiB":      func(s *slot) { s.Memory = 1<<32 - 1 },
		"1 KiB":      func(s *slot) { s.Memory = 1 },
		"no passes":  func(s *slot) { s.Passes = 0 },
		"2^31":       func(s *slot) { s.Passes = 1 << 31 },
		"no lanes":   func(s *slot) { s.Lanes = 0 },
		"255 lanes":  func(s *slot) { s.Lanes = 255 },
		"other KDF":  func(s *slot) { s.KDF = "argon2i" },
		"short salt": func(s *slot) { s.Salt = s.Salt[:8] },
		"no wrap":    func(s *slot) { s.Wrap = nil },
		"long nonce": func(s *slot) { s.Nonce = append(s.Nonce, 0) },
	} {
		bad := withHeader(t, file, func(h *header) { change(&h.Slots[0]) })
		writeFile(t, path, bad)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := Open(path, oldPass)
		runtime.ReadMemStats(&after)
		if !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}
		if got := after.TotalAlloc - before.TotalAlloc; got > 1<<20 {
			t.Errorf("%s: %d bytes allocated", name, got)
		}
	}
}

func TestHeaderBounds(t *testing.T) {
	file := readFile(t, newVault(t))
	for name, change := range map[string]func(*header){
		"no slots":     func(h *header) { h.Slots = nil },
		"nine slots":   func(h *header) { h.Slots = make([]slot, 9); fill(h.Slots, file, t) },
		"other cipher": func(h *header) { h.AEAD = "none" },
		"short nonce":  func(h *header) { h.Nonce = h.Nonce[:12] },
	} {
		if _, err := parse(withHeader(t, file, change)); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}
	}
	content := bytes.Clone(file[:len(file)-32])
	for _, n := range []uint32{0, 1, maxHeader + 1, uint32(len(content)), 1<<32 - 1} {
		binary.BigEndian.PutUint32(content[5:], n)
		if _, err := parse(resum(content)); !errors.Is(err, ErrDamaged) {
			t.Errorf("header length %d: %v", n, err)
		}
	}
}

func fill(slots []slot, file []byte, t *testing.T) {
	s, err := parse(file)
	if err != nil {
		t.Fatal(err)
	}
	for i := range slots {
		slots[i] = s.header.Slots[0]
	}
}

func TestVersions(t *testing.T) {
	path := newVault(t)
	content := readFile(t, path)
	content = content[:len(content)-32]
	for v, want := range map[byte]error{0: ErrDamaged, 2: ErrTooNew, 255: ErrTooNew} {
		content[4] = v
		writeFile(t, path, resum(content))
		if _, err := Open(path, oldPass); !errors.Is(err, want) {
			t.Errorf("version %d: %v", v, err)
		}
		if err := Update(path, oldPass, func(*Contents) error { return nil }); !errors.Is(err, want) {
			t.Errorf("version %d: update: %v", v, err)
		}
	}
	long := append([]byte(magic), version, 0, 0, 0x20, 0)
	if _, err := parse(resum(append(long, make([]byte, 0x2100)...))); err == nil || !strings.Contains(err.Error(), "header length") {
		t.Error("header of 8 KiB:", err)
	}
	if _, err := parse(resum(append([]byte("MSKX\x01"), content[5:]...))); !errors.Is(err, ErrDamaged) {
		t.Error("magic:", err)
	}
}

// Any of several slots opens the vault, and an update keeps them all.
func TestTwoSlots(t *testing.T) {
	path := newVault(t)
	key := [keySize]byte{1}
	var slots []slot
	for _, pass := range [][]byte{oldPass, newPass} {
		s, err := newSlot(&key, pass, cheap())
		if err != nil {
			t.Fatal(err)
		}
		slots = append(slots, s)
	}
	file, err := seal(sample(), &key, slots)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, path, file)
	for _, pass := range [][]byte{newPass, oldPass} {
		if err := Update(path, pass, func(c *Contents) error { return nil }); err != nil {
			t.Error(err)
		}
		if c, err := Open(path, pass); err != nil || !reflect.DeepEqual(c, sample()) {
			t.Error(err)
		}
	}
}

func TestContentsHaveOneEncoding(t *testing.T) {
	good, err := sample().encode()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := decodeContents(good); err != nil {
		t.Fatal(err)
	}
	bare, err := dagcbor.Marshal(map[string]any{"entropy": make([]byte, 31), "citizenships": []int{}})
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{
		"empty": nil, "zeroes": make([]byte, padStep), "marker only": {0x80},
		"more padding": append(bytes.Clone(good), make([]byte, padStep)...), "less": bytes.TrimRight(good, "\x00"),
		"short entropy": pad(bare),
	} {
		if _, err := decodeContents(b); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func pad(b []byte) []byte {
	padded := make([]byte, (len(b)/padStep+1)*padStep)
	padded[copy(padded, b)] = 0x80
	return padded
}

func FuzzParse(f *testing.F) {
	file := readFile(f, newVault(f))
	content := file[:len(file)-sha256.Size]
	f.Add(content)
	f.Add(withHeader(f, file, func(h *header) { h.Slots[0].Memory = 64 << 20 })[:len(content)])
	f.Fuzz(func(t *testing.T, content []byte) {
		_, _ = parse(content)
		s, err := parse(resum(content)) // else nothing gets past the checksum
		if err != nil {
			if !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrTooNew) {
				t.Fatal(err)
			}
			return
		}
		for _, sl := range s.header.Slots {
			if err := sl.params().validate(); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(append(bytes.Clone(s.aad), s.body...), content) {
			t.Fatal("parts do not make the whole")
		}
	})
}

func FuzzDecodeContents(f *testing.F) {
	good, err := sample().encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(bytes.TrimSuffix(bytes.TrimRight(good, "\x00"), []byte{0x80}))
	f.Fuzz(func(t *testing.T, b []byte) {
		padded := pad(b)
		c, err := decodeContents(padded)
		if err != nil {
			return
		}
		if again, err := c.encode(); err != nil || !bytes.Equal(again, padded) {
			t.Fatal("another encoding of one value", err)
		}
	})
}

// The AEAD that the file rests on.
func TestXChaCha20Poly1305Wycheproof(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	const name = "wycheproof/xchacha20_poly1305.json.gz"
	f, err := os.Open(filepath.Join(root, "..", "shared", "testdata", filepath.FromSlash(name)))
	if errors.Is(err, fs.ErrNotExist) {
		t.Skipf("outside vectors ../shared/testdata/%s are not here", name)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	type vector struct {
		TcID                               int
		Key, IV, AAD, Msg, CT, Tag, Result string
	}
	var file struct{ TestGroups []struct{ Tests []vector } }
	if err := json.NewDecoder(z).Decode(&file); err != nil {
		t.Fatal(err)
	}
	unhex := func(s string) []byte {
		b, err := hex.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	n := 0
	for _, g := range file.TestGroups {
		for _, v := range g.Tests {
			n++
			aead, err := chacha20poly1305.NewX(unhex(v.Key))
			ok := err == nil && len(unhex(v.IV)) == nonceSize
			if ok {
				got, err := aead.Open(nil, unhex(v.IV), unhex(v.CT+v.Tag), unhex(v.AAD))
				ok = err == nil && bytes.Equal(got, unhex(v.Msg))
			}
			if ok != (v.Result == "valid") {
				t.Errorf("tcId %d: %v, want %s", v.TcID, ok, v.Result)
			}
		}
	}
	if n != 315 {
		t.Errorf("%d vectors, want 315", n)
	}
}
