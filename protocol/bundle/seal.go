package bundle

import (
	"bufio"
	"bytes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/chacha20poly1305"
	"golang.org/x/text/unicode/norm"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/dagcbor"
)

// A With says what a sealed bundle is opened with.
type With string

// What opens a sealed bundle.
const (
	WithEpoch      With = "epoch"      // the secret of an epoch of its metastate: any member's node has it
	WithPassphrase With = "passphrase" // by [Seal.Stretch]
)

const (
	sealedFormat  = "metastate sealed bundle"
	sealLabel     = "metastate/sealed-bundle/v1"
	sealedChunk   = 64 << 10 // bytes of the bundle in a block, fewer in the last
	sealedHeader  = 5        // bytes before the ciphertext: index, flag
	sealedMost    = sealedHeader + sealedChunk + chacha20poly1305.Overhead
	saltSize      = 32
	minPassphrase = 8

	// Argon2id's cost of trying a passphrase: half a second of a machine.
	stretchMemory = 256 << 10 // KiB
	stretchPasses = 4
	stretchLanes  = 4
)

// Errors of sealed bundles.
var (
	// ErrNotSealed is wrapped when a file is no sealed bundle of this version.
	ErrNotSealed = errors.New("not a sealed bundle")
	// ErrOtherKey is wrapped when a secret does not open a bundle.
	ErrOtherKey = errors.New("another key opens the bundle")
	// ErrPassphrase is wrapped when a passphrase is too short to seal with.
	ErrPassphrase = errors.New("a passphrase has 8 bytes or more")
)

// A Seal says how a bundle is sealed. It stands in clear, in the root block.
type Seal struct {
	With With
	Salt [saltSize]byte
}

// NewSeal returns a seal of its own for one bundle.
func NewSeal(with With) Seal {
	s := Seal{With: with}
	_, _ = rand.Read(s.Salt[:]) // never fails: crypto/rand ends the process first
	return s
}

// Stretch returns the secret of a passphrase in Unicode form NFKC, slowly: Argon2id
// with the seal's salt.
func (s Seal) Stretch(passphrase []byte) (secret [32]byte, err error) {
	if len(passphrase) < minPassphrase {
		return secret, fmt.Errorf("bundle: %w", ErrPassphrase)
	}
	passphrase = norm.NFKC.Bytes(passphrase) // the same typed on another keyboard or system
	defer clear(passphrase)
	b := argon2.IDKey(passphrase, s.Salt[:], stretchPasses, stretchMemory, stretchLanes, uint32(len(secret)))
	defer clear(b)
	return [32]byte(b), nil
}

// cipher is the AEAD of the one bundle that has the seal.
func (s Seal) cipher(secret [32]byte) (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, secret[:], s.Salt[:], sealLabel+"\x00"+string(s.With), chacha20poly1305.KeySize)
	if err != nil {
		return nil, fmt.Errorf("bundle: sealing: %w", err)
	}
	defer clear(key)
	return chacha20poly1305.NewX(key)
}

// sealNonce is that of a block: its key is of one bundle, so its place will do.
func sealNonce(index uint32) []byte {
	var n [chacha20poly1305.NonceSizeX]byte
	binary.BigEndian.PutUint32(n[len(n)-4:], index)
	return n[:]
}

// sealedHead is a sealed block's beginning, which is authenticated, too.
func sealedHead(index uint32, last bool) []byte {
	b := binary.BigEndian.AppendUint32(make([]byte, 0, sealedHeader), index)
	if last {
		return append(b, 1)
	}
	return append(b, 0)
}

// parseSealed takes a sealed block apart, as far as that needs no key.
func parseSealed(b []byte) (index uint32, last, ok bool) {
	if len(b) < sealedHeader+chacha20poly1305.Overhead || len(b) > sealedMost || b[4] > 1 {
		return 0, false, false
	}
	last = b[4] == 1
	return binary.BigEndian.Uint32(b), last, last || len(b) == sealedMost
}

// envelopeBlock is the root block of a sealed bundle (SPEC §9.2).
type envelopeBlock struct {
	Format  string `cbor:"format"`
	Version uint64 `cbor:"version"`
	With    With   `cbor:"with"`
	Salt    []byte `cbor:"salt"`
}

func (s Seal) encode() []byte {
	return dagcbor.Encode(envelopeBlock{sealedFormat, Version, s.With, s.Salt[:]})
}

func parseEnvelope(b []byte) (s Seal, err error) {
	var e envelopeBlock
	if err := dagcbor.Unmarshal(b, &e); err != nil {
		return s, err
	}
	if e.Format != sealedFormat || e.Version != Version || len(e.Salt) != saltSize || e.With != WithEpoch && e.With != WithPassphrase {
		return s, fmt.Errorf("format %q, version %d, with %q", e.Format, e.Version, e.With)
	}
	return Seal{e.With, [saltSize]byte(e.Salt)}, nil
}

// maxEnvelope bounds what is looked at to tell a sealed bundle.
const maxEnvelope = headerSize + maxVarint + cidSize + 256

// IsSealed reports whether what r is about to read is a sealed bundle. It reads
// nothing off; r's buffer must hold 512 bytes.
func IsSealed(r *bufio.Reader) bool {
	b, _ := r.Peek(maxEnvelope)
	_, _, size := envelopeIn(b)
	return size > 0
}

// envelopeIn finds the seal in the beginning of a file, and the size of all that
// stands before the first sealed block, 0 if there is none.
func envelopeIn(b []byte) (s Seal, root protocol.ID, size int) {
	rest := b[min(headerSize, len(b)):]
	n, width := readVarint(rest)
	if width == 0 {
		return s, root, 0
	}
	data := soundBlock(cidPrefix, rest[width:], n)
	if data == nil {
		return s, root, 0
	}
	s, err := parseEnvelope(bytes.Clone(data))
	if err != nil {
		return s, root, 0
	}
	return s, protocol.Sum(data), headerSize + width + n
}
