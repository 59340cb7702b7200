package identity

import (
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
)

// SignatureSize is the length of a signature in bytes: R ‖ s.
const SignatureSize = ed25519.SignatureSize

// Signer signs for one key, wherever that key is held.
type Signer interface {
	Public() PublicKey
	Sign(msg []byte) [SignatureSize]byte
}

// SigningKey is an Ed25519 private key held in memory. Copies share the secret:
// [SigningKey.Erase] wipes it for all of them and must not run while another
// goroutine signs. The zero SigningKey is no key and must not be used.
type SigningKey struct {
	// A pointer, so that fmt never reaches the secret by reflection when a
	// SigningKey is an unexported field of something printed.
	secret *signingSecret
}

type signingSecret struct {
	private [ed25519.PrivateKeySize]byte // seed ‖ public, as crypto/ed25519 has it
	public  PublicKey
	erased  bool
}

// NewSigningKey returns the key of a 32-byte seed (RFC 8032 §5.1.5). The seed
// is copied; the caller wipes its own.
func NewSigningKey(seed *[32]byte) SigningKey {
	private := ed25519.NewKeyFromSeed(seed[:])
	s := &signingSecret{private: [ed25519.PrivateKeySize]byte(private)}
	copy(s.public[:], private[ed25519.SeedSize:])
	clear(private)
	return SigningKey{s}
}

// GenerateSigningKey returns a new random key.
func GenerateSigningKey() SigningKey {
	var seed [32]byte
	_, _ = rand.Read(seed[:]) // never fails: crypto/rand ends the process first
	k := NewSigningKey(&seed)
	clear(seed[:])
	return k
}

// Public returns the public key. It stays available after Erase.
func (k SigningKey) Public() PublicKey { return k.secret.public }

// Sign signs msg with plain Ed25519; the caller separates domains. After Erase
// it returns zeroes, which no one accepts.
func (k SigningKey) Sign(msg []byte) (sig [SignatureSize]byte) {
	if k.secret.erased {
		return sig
	}
	copy(sig[:], ed25519.Sign(k.secret.private[:], msg))
	return sig
}

// Seed returns the seed, for the vault. The caller wipes it after use. After
// Erase it is zero.
func (k SigningKey) Seed() (seed [32]byte) {
	copy(seed[:], k.secret.private[:])
	return seed
}

// Erase wipes the secret.
func (k SigningKey) Erase() {
	if k.secret != nil {
		clear(k.secret.private[:])
		k.secret.erased = true
	}
}

// Format prints a placeholder under every verb.
func (SigningKey) Format(f fmt.State, _ rune) { redact(f, "SigningKey") }

// String returns a placeholder.
func (SigningKey) String() string { return redacted("SigningKey") }

// GoString returns a placeholder.
func (SigningKey) GoString() string { return redacted("SigningKey") }

// LogValue gives slog a placeholder.
func (SigningKey) LogValue() slog.Value { return slog.StringValue(redacted("SigningKey")) }

// MarshalText refuses: a secret has no text form.
func (SigningKey) MarshalText() ([]byte, error) { return nil, errSecretText }

// errSecretText is what marshalling a secret as text or JSON gives.
var errSecretText = errors.New("identity: a secret has no text form")

func redacted(name string) string { return "identity." + name + "(secret)" }

func redact(w io.Writer, name string) { _, _ = io.WriteString(w, redacted(name)) }
