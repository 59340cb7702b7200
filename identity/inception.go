package identity

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"unicode/utf8"
)

// Bounds on the bodies of persona-key records (SPEC §3.3). Times are in seconds.
const (
	MaxNameBytes = 64

	MaxGuardians         = 16
	DefaultGuardianDelay = 14 * day
	MinGuardianDelay     = 3 * day
	MaxGuardianDelay     = 90 * day

	DefaultGrantLife = 180 * day
	MaxGrantLife     = 400 * day

	day = 24 * 60 * 60

	maxInception = 1024 // bytes: 16 guardians take 16 × 34
	maxGrant     = 128  // bytes
)

// Inception is the body of the record that founds a persona, signed by its
// first signing key. The record's id is the persona's id.
type Inception struct {
	// Next is the commitment to the next signing key ([Commit]).
	Next Digest `cbor:"next"`
	// Nonce makes two inceptions of one key differ.
	Nonce Nonce `cbor:"nonce"`
	// Name is what the person wishes to be called; it proves nothing and may
	// be empty. See [ValidName].
	Name string `cbor:"name,omitempty"`
	// Guardians may replace the persona's keys when they are lost; nil if none
	// were chosen.
	Guardians *Guardians `cbor:"guard,omitempty"`
}

// Guardians are the people who, Threshold of them together, may sign a recovery
// of the persona, effective after Delay seconds of checkpoint time. They hold
// shares of nothing, and stay unnamed until they act.
type Guardians struct {
	Threshold uint8    `cbor:"t"`
	Hashes    []Digest `cbor:"g"` // of [GuardianHash], strictly ascending
	Delay     int64    `cbor:"d"`
}

// Grant is the body of the record by which a persona lets a device sign for it
// until Expires, in unix seconds of checkpoint time. A grant lasts at most
// [MaxGrantLife] from the checkpoint its record cites.
type Grant struct {
	Device  PublicKey `cbor:"dev"`
	Expires int64     `cbor:"exp"`
}

// ParseInception reads the one encoding of a valid Inception.
func ParseInception(b []byte) (Inception, error) {
	var i Inception
	if err := unmarshalExact(b, maxInception, &i); err != nil {
		return Inception{}, fmt.Errorf("identity: reading an inception: %w", err)
	}
	if err := i.Validate(); err != nil {
		return Inception{}, err
	}
	return i, nil
}

// Validate reports what is wrong with the body, judged alone.
func (i Inception) Validate() error {
	if i.Next.IsZero() {
		return fmt.Errorf("identity: inception: no commitment to a next key")
	}
	if err := ValidName(i.Name); err != nil {
		return fmt.Errorf("identity: inception: %w", err)
	}
	if i.Guardians != nil {
		if err := i.Guardians.Validate(); err != nil {
			return fmt.Errorf("identity: inception: %w", err)
		}
	}
	return nil
}

// Validate reports what is wrong with the set.
func (g Guardians) Validate() error {
	n := len(g.Hashes)
	if n == 0 || n > MaxGuardians {
		return fmt.Errorf("identity: %d guardians, want 1 to %d", n, MaxGuardians)
	}
	if g.Threshold == 0 || int(g.Threshold) > n {
		return fmt.Errorf("identity: threshold of %d among %d guardians", g.Threshold, n)
	}
	if g.Delay < MinGuardianDelay || g.Delay > MaxGuardianDelay {
		return fmt.Errorf("identity: guardian delay of %d s, want %d to %d", g.Delay, MinGuardianDelay, MaxGuardianDelay)
	}
	for k := 1; k < n; k++ {
		if bytes.Compare(g.Hashes[k-1][:], g.Hashes[k][:]) >= 0 {
			return fmt.Errorf("identity: guardian hashes not strictly ascending")
		}
	}
	return nil
}

// GuardianHash hides which persona a guardian is until the salt is shown:
// SHA-256("metastate/guardian/v1" ‖ 00 ‖ salt ‖ persona id). Each guardian gets
// a fresh random salt.
func GuardianHash(salt [16]byte, guardian [32]byte) Digest {
	b := append([]byte(labelGuardian), 0)
	b = append(b, salt[:]...)
	return sha256.Sum256(append(b, guardian[:]...))
}

// ParseGrant reads the one encoding of a valid Grant.
func ParseGrant(b []byte) (Grant, error) {
	var g Grant
	if err := unmarshalExact(b, maxGrant, &g); err != nil {
		return Grant{}, fmt.Errorf("identity: reading a grant: %w", err)
	}
	if err := g.Validate(); err != nil {
		return Grant{}, err
	}
	return g, nil
}

// Validate reports what is wrong with the body, judged alone.
func (g Grant) Validate() error {
	if g.Device.IsZero() {
		return fmt.Errorf("identity: grant: no device key")
	}
	if g.Expires <= 0 {
		return fmt.Errorf("identity: grant: expiry %d is not after 1970", g.Expires)
	}
	return nil
}

// ValidName reports what is wrong with a display name: over [MaxNameBytes]
// bytes, not UTF-8, spaces at an end, or characters that take no place, break
// lines or turn the direction of the text around them. Joiners, which some
// scripts need, are allowed inside.
func ValidName(name string) error {
	if len(name) > MaxNameBytes {
		return fmt.Errorf("name of %d bytes, at most %d", len(name), MaxNameBytes)
	}
	if !utf8.ValidString(name) {
		return fmt.Errorf("name is not valid UTF-8")
	}
	for _, r := range name {
		if Hidden(r) {
			return fmt.Errorf("name has the control character U+%04X", r)
		}
	}
	if first, _ := utf8.DecodeRuneInString(name); isWordSpace(first) {
		return fmt.Errorf("name starts with a space")
	}
	if last, _ := utf8.DecodeLastRuneInString(name); isWordSpace(last) {
		return fmt.Errorf("name ends with a space")
	}
	return nil
}

// Hidden reports whether r takes no place, breaks lines or turns the direction
// of the text around it. The ranges are written out: what is valid must not
// depend on the Unicode version a node was built with.
func Hidden(r rune) bool {
	switch {
	case r < 0x20, 0x7F <= r && r <= 0x9F, // C0, DEL, C1
		r == 0xAD, r == 0x061C, r == 0x180E, // soft hyphen, Arabic letter mark, Mongolian separator
		r == 0x200B, r == 0x200E, r == 0x200F, // zero width space, direction marks
		0x2028 <= r && r <= 0x202E, // line and paragraph ends, embeddings and overrides
		0x2060 <= r && r <= 0x206F, // invisible operators, isolates
		r == 0xFEFF, 0xFFF0 <= r && r <= 0xFFFB,
		0xE0000 <= r && r <= 0xE0FFF: // tags and variation selectors supplement
		return true
	}
	return false
}
