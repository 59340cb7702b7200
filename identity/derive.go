package identity

import (
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/hpke"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"log/slog"
)

// The labels of derivation. They are part of every member's keys and never
// change.
const (
	labelRoot     = "metastate/root/v1"
	labelPersona  = "persona/v1"
	labelSign     = "persona-sign/v1"
	labelHPKE     = "persona-hpke/v1"
	labelNextKey  = "metastate/next-key/v1"
	labelInvite   = "metastate/invite-key/v1"
	labelGuardian = "metastate/guardian/v1"
	labelSalt     = "guardian-salt/v1"
)

// Entropy is the 32 random bytes that a person's personas follow from. It is
// written down as 24 words ([Words]) and otherwise kept in a vault only.
type Entropy [32]byte

// GenerateEntropy returns new random entropy.
func GenerateEntropy() (e Entropy) {
	_, _ = rand.Read(e[:]) // never fails: crypto/rand ends the process first
	return e
}

// Erase wipes e.
func (e *Entropy) Erase() { clear(e[:]) }

// Format prints a placeholder under every verb.
func (Entropy) Format(f fmt.State, _ rune) { redact(f, "Entropy") }

// String returns a placeholder.
func (Entropy) String() string { return redacted("Entropy") }

// GoString returns a placeholder.
func (Entropy) GoString() string { return redacted("Entropy") }

// LogValue gives slog a placeholder.
func (Entropy) LogValue() slog.Value { return slog.StringValue(redacted("Entropy")) }

// MarshalText refuses: a secret has no text form but its words.
func (Entropy) MarshalText() ([]byte, error) { return nil, errSecretText }

// Persona derives the secrets of the person's index-th persona in a metastate,
// given by its id:
//
//	PRK = HKDF-Extract-SHA256(salt = "metastate/root/v1", ikm = E)
//	P   = HKDF-Expand(PRK, "persona/v1" ‖ 00 ‖ metastate ‖ u32be(index), 32)
func (e Entropy) Persona(metastate [32]byte, index uint32) Persona {
	prk, err := hkdf.Extract(sha256.New, e[:], []byte(labelRoot))
	if err != nil {
		panic("identity: " + err.Error()) // fixed sizes, which HKDF allows
	}
	info := append([]byte(labelPersona), 0)
	info = append(info, metastate[:]...)
	p := expand(prk, binary.BigEndian.AppendUint32(info, index))
	clear(prk)
	return Persona{&p}
}

// Persona holds the secrets of one persona. Copies share them: Erase wipes them
// for all. The zero Persona must not be used.
type Persona struct {
	secret *[32]byte // P; a pointer for the reason given at SigningKey
}

// SigningKey derives the persona's n-th signing key; 0 is the inception's, and
// each rotation takes the next:
//
//	seed = HKDF-Expand(P, "persona-sign/v1" ‖ 00 ‖ u32be(n), 32)
func (p Persona) SigningKey(n uint32) SigningKey {
	seed := p.expand(labelSign, n)
	k := NewSigningKey(&seed)
	clear(seed[:])
	return k
}

// HPKEKey derives the persona's n-th X25519 key for HPKE (RFC 9180 §7.1.3):
//
//	DeriveKeyPair(HKDF-Expand(P, "persona-hpke/v1" ‖ 00 ‖ u32be(n), 32))
func (p Persona) HPKEKey(n uint32) hpke.PrivateKey {
	ikm := p.expand(labelHPKE, n)
	k, err := hpke.DHKEM(ecdh.X25519()).DeriveKeyPair(ikm[:])
	if err != nil {
		panic("identity: " + err.Error()) // X25519 takes any 32 bytes
	}
	clear(ikm[:])
	return k
}

// Commitment is C(n) = [Commit] of the n-th signing key.
func (p Persona) Commitment(n uint32) Digest {
	k := p.SigningKey(n)
	defer k.Erase()
	return Commit(k.Public())
}

// GuardianSalt derives what hides that the persona given by its id is a
// guardian: the first 16 bytes of
//
//	HKDF-Expand(P, "guardian-salt/v1" ‖ 00 ‖ guardian, 32)
func (p Persona) GuardianSalt(guardian [32]byte) (salt Nonce) {
	b := expand(p.secret[:], append(append([]byte(labelSalt), 0), guardian[:]...))
	copy(salt[:], b[:])
	return salt
}

// Erase wipes the secrets.
func (p Persona) Erase() {
	if p.secret != nil {
		clear(p.secret[:])
	}
}

// Format prints a placeholder under every verb.
func (Persona) Format(f fmt.State, _ rune) { redact(f, "Persona") }

// String returns a placeholder.
func (Persona) String() string { return redacted("Persona") }

// GoString returns a placeholder.
func (Persona) GoString() string { return redacted("Persona") }

// LogValue gives slog a placeholder.
func (Persona) LogValue() slog.Value { return slog.StringValue(redacted("Persona")) }

// MarshalText refuses: a secret has no text form.
func (Persona) MarshalText() ([]byte, error) { return nil, errSecretText }

func (p Persona) expand(label string, n uint32) [32]byte {
	return expand(p.secret[:], binary.BigEndian.AppendUint32(append([]byte(label), 0), n))
}

// Commit returns the commitment to a key that a later rotation reveals:
// SHA-256("metastate/next-key/v1" ‖ 00 ‖ multikey). A thief of the current key
// cannot rotate without the key behind it.
func Commit(next PublicKey) Digest {
	return sha256.Sum256(append(append([]byte(labelNextKey), 0), next.Multikey()...))
}

// InviteKey returns the key pair that an invite's secret seeds. The invited
// person's inception is signed by it, so a node that serves the join cannot
// spend the invite on someone else.
//
//	seed = HKDF-SHA256(secret, salt = "metastate/invite-key/v1", info = metastate, 32)
func InviteKey(secret [16]byte, metastate [32]byte) SigningKey {
	b, err := hkdf.Key(sha256.New, secret[:], []byte(labelInvite), string(metastate[:]), 32)
	if err != nil {
		panic("identity: " + err.Error()) // fixed sizes, which HKDF allows
	}
	seed := [32]byte(b)
	k := NewSigningKey(&seed)
	clear(b)
	clear(seed[:])
	return k
}

func expand(prk, info []byte) [32]byte {
	b, err := hkdf.Expand(sha256.New, prk, string(info), 32)
	if err != nil {
		panic("identity: " + err.Error()) // fixed sizes, which HKDF allows
	}
	defer clear(b)
	return [32]byte(b)
}
