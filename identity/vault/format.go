package vault

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"runtime/debug"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/chacha20poly1305"

	"github.com/metastate-p2p/metastate/protocol/dagcbor"
)

const (
	magic   = "MSKS"
	version = 1

	prefixSize = len(magic) + 1 + 4
	maxFile    = 4 << 20 // bytes
	maxHeader  = 4096    // bytes
	maxSlots   = 8

	keySize   = chacha20poly1305.KeySize
	nonceSize = chacha20poly1305.NonceSizeX
	saltSize  = 16
	wrapSize  = keySize + chacha20poly1305.Overhead
)

// Params is the cost of trying a passphrase, as Argon2id's parameters (RFC
// 9106 §3.1). The zero Params stands for [DefaultParams].
type Params struct {
	MemoryKiB uint32 // MinMemoryKiB to MaxMemoryKiB
	Passes    uint32 // 1 to 10
	Lanes     uint8  // 1 to 8
}

// Bounds on Argon2id's memory. The least is for tests and machines that cannot
// do more; a vault meant to last takes 64 MiB or more.
const (
	MinMemoryKiB = 8 << 10
	MaxMemoryKiB = 1 << 20
)

// DefaultParams takes 256 MiB and about two seconds.
func DefaultParams() Params { return Params{MemoryKiB: 256 << 10, Passes: 3, Lanes: 4} }

func (p Params) orDefault() Params {
	if p == (Params{}) {
		return DefaultParams()
	}
	return p
}

func (p Params) validate() error {
	if p.MemoryKiB < MinMemoryKiB || p.MemoryKiB > MaxMemoryKiB ||
		p.Passes < 1 || p.Passes > 10 || p.Lanes < 1 || p.Lanes > 8 {
		return fmt.Errorf("Argon2id with %d KiB, %d passes, %d lanes is out of bounds: %d to %d KiB, 1 to 10, 1 to 8",
			p.MemoryKiB, p.Passes, p.Lanes, MinMemoryKiB, MaxMemoryKiB)
	}
	return nil
}

// header is the file's header.
type header struct {
	AEAD  string `cbor:"aead"` // "xc20p"
	Nonce []byte `cbor:"nonce"`
	Slots []slot `cbor:"slots"`
}

// slot wraps the data key under a passphrase.
type slot struct {
	KDF    string `cbor:"kdf"` // "argon2id"
	Memory uint32 `cbor:"m"`   // KiB
	Passes uint32 `cbor:"t"`
	Lanes  uint8  `cbor:"p"`
	Salt   []byte `cbor:"salt"`
	Nonce  []byte `cbor:"nonce"`
	Wrap   []byte `cbor:"wrap,omitempty"` // left out in the wrap's additional data
}

func (s slot) params() Params { return Params{s.Memory, s.Passes, s.Lanes} }

// sealed is a vault's file taken apart, in bounds but not opened.
type sealed struct {
	header header
	aad    []byte // everything before the body
	body   []byte
}

// parse takes a file apart. It checks the checksum before all else, so that
// whatever is then out of place was written so.
func parse(file []byte) (*sealed, error) {
	damaged := func(why string) error { return fmt.Errorf("%w (%s)", ErrDamaged, why) }
	if len(file) > maxFile {
		return nil, damaged("too large")
	}
	if len(file) < prefixSize+sha256.Size {
		return nil, damaged("too short")
	}
	content, sum := file[:len(file)-sha256.Size], file[len(file)-sha256.Size:]
	if got := sha256.Sum256(content); !bytes.Equal(got[:], sum) {
		return nil, damaged("checksum")
	}
	if string(content[:len(magic)]) != magic {
		return nil, damaged("not a vault")
	}
	switch v := content[len(magic)]; {
	case v > version:
		return nil, fmt.Errorf("%w (format %d, known up to %d)", ErrTooNew, v, version)
	case v != version:
		return nil, damaged("no such format")
	}
	n := binary.BigEndian.Uint32(content[len(magic)+1:])
	if n > maxHeader || int(n) > len(content)-prefixSize {
		return nil, damaged("header length")
	}
	end := prefixSize + int(n)
	s := &sealed{aad: content[:end], body: content[end:]}
	if err := s.header.decode(content[prefixSize:end]); err != nil {
		return nil, damaged(err.Error())
	}
	if len(s.body) < chacha20poly1305.Overhead {
		return nil, damaged("no body")
	}
	return s, nil
}

func (h *header) decode(b []byte) error {
	if err := dagcbor.Unmarshal(b, h); err != nil {
		return err
	}
	if again, err := dagcbor.Marshal(h); err != nil || !bytes.Equal(again, b) {
		return fmt.Errorf("header not canonical")
	}
	if h.AEAD != "xc20p" || len(h.Nonce) != nonceSize {
		return fmt.Errorf("unknown cipher")
	}
	if len(h.Slots) == 0 || len(h.Slots) > maxSlots {
		return fmt.Errorf("%d key slots", len(h.Slots))
	}
	for _, s := range h.Slots {
		if s.KDF != "argon2id" || len(s.Salt) != saltSize || len(s.Nonce) != nonceSize || len(s.Wrap) != wrapSize {
			return fmt.Errorf("unknown kind of key slot")
		}
		if err := s.params().validate(); err != nil {
			return err
		}
	}
	return nil
}

// unlock returns the data key from the slot that the passphrase, normalised,
// opens.
func (s *sealed) unlock(pass []byte) (key [keySize]byte, err error) {
	for _, sl := range s.header.Slots {
		if key, ok := sl.open(pass); ok {
			return key, nil
		}
	}
	return key, ErrWrongPassphrase
}

// contents opens the body.
func (s *sealed) contents(key *[keySize]byte) (*Contents, error) {
	aead, err := chacha20poly1305.NewX(key[:])
	if err != nil {
		return nil, err
	}
	plain, err := aead.Open(nil, s.header.Nonce, s.body, s.aad)
	if err != nil {
		return nil, fmt.Errorf("%w (body)", ErrDamaged)
	}
	defer clear(plain)
	c, err := decodeContents(plain)
	if err != nil {
		return nil, fmt.Errorf("%w (%w)", ErrDamaged, err)
	}
	return c, nil
}

// seal returns the file of c under the data key, with the given slots.
func seal(c *Contents, key *[keySize]byte, slots []slot) ([]byte, error) {
	h := header{AEAD: "xc20p", Nonce: random(nonceSize), Slots: slots}
	head, err := dagcbor.Marshal(h)
	if err != nil {
		return nil, err
	}
	plain, err := c.encode()
	if err != nil {
		return nil, err
	}
	defer clear(plain)
	aead, err := chacha20poly1305.NewX(key[:])
	if err != nil {
		return nil, err
	}
	file := append([]byte(magic), version)
	file = binary.BigEndian.AppendUint32(file, uint32(len(head)))
	file = append(file, head...)
	file = append(file, aead.Seal(nil, h.Nonce, plain, file)...)
	sum := sha256.Sum256(file)
	if file = append(file, sum[:]...); len(file) > maxFile {
		return nil, fmt.Errorf("contents too large")
	}
	return file, nil
}

// newSlot wraps the data key under a passphrase, normalised.
func newSlot(key *[keySize]byte, pass []byte, p Params) (slot, error) {
	s := slot{KDF: "argon2id", Memory: p.MemoryKiB, Passes: p.Passes, Lanes: p.Lanes, Salt: random(saltSize), Nonce: random(nonceSize)}
	aad, err := s.aad()
	if err != nil {
		return slot{}, err
	}
	kek := s.stretch(pass)
	defer clear(kek)
	aead, err := chacha20poly1305.NewX(kek)
	if err != nil {
		return slot{}, err
	}
	s.Wrap = aead.Seal(nil, s.Nonce, key[:], aad)
	return s, nil
}

func (s slot) open(pass []byte) (key [keySize]byte, ok bool) {
	aad, err := s.aad()
	if err != nil {
		return key, false
	}
	kek := s.stretch(pass)
	defer clear(kek)
	aead, err := chacha20poly1305.NewX(kek)
	if err != nil {
		return key, false
	}
	b, err := aead.Open(nil, s.Nonce, s.Wrap, aad)
	if err != nil {
		return key, false
	}
	defer clear(b)
	return [keySize]byte(b), true
}

// aad is the slot without what it wraps.
func (s slot) aad() ([]byte, error) {
	s.Wrap = nil
	b, err := dagcbor.Marshal(s)
	return append([]byte("metastate/vault-slot/v1\x00"), b...), err
}

// stretch is the one place that runs Argon2id; the slot's parameters are in
// bounds by now.
func (s slot) stretch(pass []byte) []byte {
	key := argon2.IDKey(pass, s.Salt, s.Passes, s.Memory, s.Lanes, keySize)
	if s.Memory >= returned {
		// A node opens its vault once and runs for months: left to the collector,
		// the memory would stay its own for minutes, and twice in a row be twice as
		// much.
		debug.FreeOSMemory()
	}
	return key
}

// returned is from how many KiB on Argon2id's memory goes back to the system at
// once.
const returned = 16 << 10

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails: crypto/rand ends the process first
	return b
}
