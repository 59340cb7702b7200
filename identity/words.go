package identity

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tyler-smith/go-bip39/wordlists"
)

// WordCount is the number of words that write down one Entropy.
const WordCount = 24

// maxWordsText bounds what EntropyFromWords reads: 24 words of at most 8
// letters, with room for generous spacing.
const maxWordsText = 2048

// ErrWordCount and ErrWordChecksum are wrapped by the refusals of
// [EntropyFromWords]; an unknown word is an [UnknownWordError].
var (
	ErrWordCount    = errors.New("not 24 words")
	ErrWordChecksum = errors.New("every word is in the list, but together they fail their checksum")
)

// UnknownWordError says which word is not in the BIP-39 English list. It does
// not repeat the word: what was typed is nearly a secret.
type UnknownWordError struct {
	Position int // from 1
}

func (e *UnknownWordError) Error() string {
	return fmt.Sprintf("identity: word %d of %d is not in the BIP-39 English word list: check its spelling", e.Position, WordCount)
}

// Words writes e as 24 words of the BIP-39 English list: the entropy and 8 bits
// of its SHA-256, 11 bits a word. They are words of the entropy itself; the
// PBKDF2 'seed' of BIP-39 is not used.
func Words(e Entropy) (words [WordCount]string) {
	check := sha256.Sum256(e[:])
	bits := append(e[:], check[0])
	defer clear(bits)
	for i := range words {
		words[i] = wordlists.English[bits11(bits, i)]
	}
	return words
}

// EntropyFromWords reads the 24 words as people type them: any case, any
// spacing, no-break and zero-width spaces included. Errors are an
// [UnknownWordError], or wrap [ErrWordCount] or [ErrWordChecksum].
func EntropyFromWords(text string) (e Entropy, err error) {
	if len(text) > maxWordsText {
		return e, fmt.Errorf("identity: %w: the text is longer than any %d words", ErrWordCount, WordCount)
	}
	words := strings.FieldsFunc(strings.ToLower(text), isWordSpace)
	if len(words) != WordCount {
		return e, fmt.Errorf("identity: %w: found %d", ErrWordCount, len(words))
	}
	var bits [len(e) + 1]byte
	defer clear(bits[:])
	for i, w := range words {
		n, known := slices.BinarySearch(wordlists.English, w) // the list is sorted
		if !known {
			return e, &UnknownWordError{Position: i + 1}
		}
		setBits11(bits[:], i, n)
	}
	check := sha256.Sum256(bits[:len(e)])
	if subtle.ConstantTimeByteEq(check[0], bits[len(e)]) != 1 {
		return e, fmt.Errorf("identity: %w: one is wrong, or two are swapped", ErrWordChecksum)
	}
	copy(e[:], bits[:])
	return e, nil
}

// isWordSpace reports whether r separates words. U+200B and U+FEFF come along
// when words are pasted from a web page or a file with a byte order mark.
func isWordSpace(r rune) bool {
	switch r {
	case ' ', '\t', '\n', '\v', '\f', '\r', 0x85, 0xA0, 0x1680, 0x2028, 0x2029, 0x202F, 0x205F, 0x3000, 0x200B, 0xFEFF:
		return true
	}
	return 0x2000 <= r && r <= 0x200A
}

// bits11 returns bits 11i to 11i+10 of b, big endian.
func bits11(b []byte, i int) (n int) {
	for bit := 11 * i; bit < 11*i+11; bit++ {
		n = n<<1 | int(b[bit/8]>>(7-bit%8)&1)
	}
	return n
}

// setBits11 sets them, where they were zero.
func setBits11(b []byte, i, n int) {
	for k := range 11 {
		bit := 11*i + k
		b[bit/8] |= byte(n>>(10-k)&1) << (7 - bit%8)
	}
}
