package node

import (
	"crypto/cipher"
	"crypto/rand"
	"fmt"
	"math/big"
	"strings"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/chacha20poly1305"
)

// An invite under a PIN (SPEC §9.1): salt ‖ the link's bytes, sealed.
const (
	pinPrefix  = "metastate:p/1#"
	pinDigits  = 8
	pinSalt    = 16
	pinLabel   = "metastate/pin-invite/v1"
	pinMemory  = 256 << 10 // KiB
	pinPasses  = 4
	pinLanes   = 4
	maxPinText = maxLink + 64
)

// LockLink seals an invite's link under a new PIN of 8 digits. The PIN only
// slows down who finds the invite: there are 10^8 of them, and trying one takes
// half a second of a machine and 256 MiB.
func LockLink(text string) (locked, pin string, err error) {
	l, err := parseLink(text)
	if err != nil {
		return "", "", err
	}
	n, err := rand.Int(rand.Reader, big.NewInt(1e8))
	if err != nil {
		return "", "", fmt.Errorf("node: choosing a PIN: %w", err)
	}
	pin = fmt.Sprintf("%0*d", pinDigits, n)
	salt := make([]byte, pinSalt)
	rand.Read(salt)
	aead, err := pinCipher(pin, salt)
	if err != nil {
		return "", "", err
	}
	sealed := aead.Seal(salt, make([]byte, aead.NonceSize()), l.bytes(), []byte(pinLabel)) // the key is for this once
	return textOf(pinPrefix, sealed), pin, nil
}

// LinkLocked reports whether a text holds an invite under a PIN.
func LinkLocked(text string) bool {
	return strings.Contains(text, pinPrefix) || strings.Contains(text, upperPrefix(pinPrefix))
}

// UnlockLink opens an invite under a PIN, alone or inside the words it was sent
// with, and returns its link. Spaces and hyphens in the PIN are passed over.
func UnlockLink(text, pin string) (string, error) {
	pin = strings.Map(func(r rune) rune {
		if strings.ContainsRune(" -\t\r\n", r) {
			return -1
		}
		return r
	}, pin)
	if len(pin) != pinDigits || strings.Trim(pin, "0123456789") != "" {
		return "", &Error{Code: "bad-pin", Exit: ExitUsage, Message: fmt.Sprintf("a PIN of an invite has %d digits", pinDigits), Hint: "ask whoever gave you the invite for its PIN"}
	}
	sealed, err := lockedBytes(text)
	if err != nil {
		return "", err
	}
	aead, err := pinCipher(pin, sealed[:pinSalt])
	if err != nil {
		return "", err
	}
	b, err := aead.Open(nil, make([]byte, aead.NonceSize()), sealed[pinSalt:], []byte(pinLabel))
	if err != nil {
		return "", &Error{
			Code: "wrong-pin", Exit: ExitLocked, Message: "this PIN does not open the invite",
			Hint: "check the PIN, or ask for a new invite",
		}
	}
	link := textOf(linkPrefix, b)
	_, err = parseLink(link)
	return link, err
}

// lockedBytes takes an invite under a PIN out of a text, sealed.
func lockedBytes(text string) ([]byte, error) {
	b, err := textBytes(text, pinPrefix, maxPinText)
	if err == nil && len(b) < pinSalt+chacha20poly1305.Overhead {
		err = errChanged
	}
	if err != nil {
		return nil, badLink(pinPrefix, err)
	}
	return b, nil
}

// pinCipher is XChaCha20-Poly1305 under the key of a PIN and a salt.
func pinCipher(pin string, salt []byte) (cipher.AEAD, error) {
	key := argon2.IDKey([]byte(pin), salt, pinPasses, pinMemory, pinLanes, chacha20poly1305.KeySize)
	defer clear(key)
	aead, err := chacha20poly1305.NewX(key)
	if err != nil {
		return nil, fmt.Errorf("node: %w", err)
	}
	return aead, nil
}
