package protocol

import (
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/metastate-p2p/metastate/protocol/dagcbor"
)

// A Content says what an outer form holds. It is not written in the outer
// form but bound by its MAC, so that one thing can't be passed off as another.
type Content uint8

// What members send each other.
const (
	ContentRecord     Content = 1 // the inner form of a record
	ContentAgreement  Content = 2 // a message between clerks
	ContentCheckpoint Content = 3 // a certificate with its chunks
	ContentBinding    Content = 4 // a device's transport binding
	ContentSnapshot   Content = 5 // a piece of a snapshot
	ContentReceipt    Content = 6 // a clerk's receipt
	outerMACSize              = 16
	epochTagSize              = 8
)

// Errors of outer forms.
var (
	// ErrOtherEpoch: sealed for members of another epoch or metastate.
	ErrOtherEpoch = errors.New("outer form of another epoch")
	// ErrBadMAC: not made by anyone who holds the epoch's secret.
	ErrBadMAC = errors.New("outer form's MAC does not hold")
)

// An Epoch seals what leaves a node, so that relays and eavesdroppers see
// neither content nor authors (SPEC §3.1). It is safe for concurrent use.
type Epoch struct {
	tag      [epochTagSize]byte
	macKey   []byte
	nonceKey []byte // not macKey: who may only check must not be able to confirm guessed content
	wrapKey  []byte
	wrapped  bool
}

// NewEpoch derives an epoch's keys from its secret, which only members hold.
// With wrap false the content travels in clear, under the MAC only.
func NewEpoch(secret [32]byte, wrap bool) *Epoch {
	derive := func(label string, n int) []byte {
		k, err := hkdf.Key(sha256.New, secret[:], nil, "metastate/outer/v1/"+label, n)
		if err != nil {
			panic("protocol: " + err.Error()) // only for lengths no constant here has
		}
		return k
	}
	return &Epoch{
		tag:    [epochTagSize]byte(derive("tag", epochTagSize)),
		macKey: derive("mac", 32), nonceKey: derive("nonce", 32), wrapKey: derive("wrap", 32), wrapped: wrap,
	}
}

// Tag names the epoch to those who hold its secret.
func (e *Epoch) Tag() [8]byte { return e.tag }

// Seal returns the outer form of content: {version, tag, nonce, wrapped
// content, MAC}. Equal content gives an equal outer form, so that relays can
// drop copies without reading them.
func (e *Epoch) Seal(kind Content, content []byte) []byte {
	var nonce []byte
	wrapped := content
	if e.wrapped {
		nonce = mac(e.nonceKey, "nonce", kind, content)[:chacha20poly1305.NonceSizeX]
		wrapped = e.aead().Seal(nil, nonce, content, []byte{byte(kind)})
	}
	b := make([]byte, 0, len(wrapped)+80)
	b = dagcbor.AppendArray(b, 5)
	b = dagcbor.AppendUint(b, Version)
	b = dagcbor.AppendBytes(b, e.tag[:])
	b = dagcbor.AppendBytes(b, nonce)
	b = dagcbor.AppendBytes(b, wrapped)
	return dagcbor.AppendBytes(b, mac(e.macKey, "outer", kind, b)[:outerMACSize])
}

// Check reports whether outer is an outer form of this epoch holding kind:
// [ErrMalformed], [ErrOtherEpoch] or [ErrBadMAC] if not. It costs one MAC.
func (e *Epoch) Check(kind Content, outer []byte) error {
	_, _, err := e.split(kind, outer)
	return err
}

// Open returns the content of an outer form.
func (e *Epoch) Open(kind Content, outer []byte) ([]byte, error) {
	nonce, wrapped, err := e.split(kind, outer)
	if err != nil {
		return nil, err
	}
	if !e.wrapped {
		return wrapped, nil
	}
	content, err := e.aead().Open(nil, nonce, wrapped, []byte{byte(kind)})
	if err != nil {
		return nil, fmt.Errorf("protocol: opening outer form: %w", ErrBadMAC)
	}
	return content, nil
}

func (e *Epoch) split(kind Content, outer []byte) (nonce, wrapped []byte, err error) {
	if len(outer) > MaxOuter {
		return nil, nil, fmt.Errorf("protocol: outer form: %w: %d bytes, the cap is %d", ErrMalformed, len(outer), MaxOuter)
	}
	r := dagcbor.NewReader(outer)
	n, version := r.Array(5), r.Uint()
	tag, nonce := r.Bytes(epochTagSize), r.Bytes(chacha20poly1305.NonceSizeX)
	wrapped, got := r.Bytes(MaxOuter), r.Bytes(outerMACSize)
	if err := r.End(); err != nil {
		return nil, nil, fmt.Errorf("protocol: outer form: %w: %w", ErrMalformed, err)
	}
	nonceSize := 0
	if e.wrapped {
		nonceSize = chacha20poly1305.NonceSizeX
	}
	if n != 5 || version != Version || len(tag) != epochTagSize || len(got) != outerMACSize {
		return nil, nil, fmt.Errorf("protocol: outer form: %w", ErrMalformed)
	}
	if !hmac.Equal(tag, e.tag[:]) {
		return nil, nil, fmt.Errorf("protocol: %w", ErrOtherEpoch)
	}
	if len(nonce) != nonceSize { // one form per epoch: content in clear is no form of a wrapped one
		return nil, nil, fmt.Errorf("protocol: outer form: %w: a nonce of %d bytes, wanted %d", ErrMalformed, len(nonce), nonceSize)
	}
	signed := outer[:len(outer)-1-outerMACSize] // the MAC's head is one byte
	if !hmac.Equal(got, mac(e.macKey, "outer", kind, signed)[:outerMACSize]) {
		return nil, nil, fmt.Errorf("protocol: %w", ErrBadMAC)
	}
	return nonce, wrapped, nil
}

func mac(key []byte, label string, kind Content, b []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(label))
	h.Write([]byte{0, byte(kind)})
	h.Write(b)
	return h.Sum(nil)
}

func (e *Epoch) aead() cipher.AEAD {
	a, err := chacha20poly1305.NewX(e.wrapKey)
	if err != nil {
		panic("protocol: " + err.Error()) // the key has 32 bytes
	}
	return a
}
