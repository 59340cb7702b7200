package sketch

import (
	"encoding/binary"
	"errors"
	"math"
	"math/bits"
)

const (
	// MaxLen is the most symbols of a sketch: enough for some 95,000 differences.
	MaxLen = 1 << 17
	// SymbolSize is the length of a symbol in messages, in bytes.
	SymbolSize = KeySize + 8
	// KeySize is the length of a key: that many bytes of an id stand for it.
	KeySize = 16
)

// A Key is the first 16 bytes of an id.
type Key = [KeySize]byte

// KeyOf is the key of an id.
func KeyOf(id [32]byte) Key { return Key(id[:]) }

// A Symbol is the exclusive or of the keys that are mapped to one place, and of
// their checks. The zero Symbol holds none, or nothing that shows.
type Symbol struct {
	a, b  uint64 // the halves of the keys
	check uint64
}

// symbolOf is the symbol that holds one key.
func symbolOf(k Key) Symbol {
	a, b := binary.BigEndian.Uint64(k[:]), binary.BigEndian.Uint64(k[8:])
	return Symbol{a, b, check(a, b)}
}

func (s Symbol) xor(o Symbol) Symbol { return Symbol{s.a ^ o.a, s.b ^ o.b, s.check ^ o.check} }

// pure reports whether s looks like the symbol of a single key.
func (s Symbol) pure() bool { return s != Symbol{} && s.check == check(s.a, s.b) }

// key is the key of a symbol that holds one.
func (s Symbol) key() (k Key) {
	binary.BigEndian.PutUint64(k[:], s.a)
	binary.BigEndian.PutUint64(k[8:], s.b)
	return k
}

// Append appends the encoding of symbols to b: of each, the key and the check.
func Append(b []byte, symbols []Symbol) []byte {
	for _, s := range symbols {
		b = binary.BigEndian.AppendUint64(b, s.a)
		b = binary.BigEndian.AppendUint64(b, s.b)
		b = binary.BigEndian.AppendUint64(b, s.check)
	}
	return b
}

// ErrSize is returned by [Parse] for bytes that are no whole symbols.
var ErrSize = errors.New("sketch: bytes that are no whole symbols")

// Parse reads what [Append] wrote. Any 24 bytes are a symbol. The caller has
// bounded the length of b.
func Parse(b []byte) ([]Symbol, error) {
	if len(b)%SymbolSize != 0 {
		return nil, ErrSize
	}
	out := make([]Symbol, len(b)/SymbolSize)
	for i := range out {
		at := b[i*SymbolSize:]
		out[i] = Symbol{binary.BigEndian.Uint64(at), binary.BigEndian.Uint64(at[8:]), binary.BigEndian.Uint64(at[16:])}
	}
	return out, nil
}

// The first 256 bits of the fraction of π.
const (
	pi1 = 0x243f6a8885a308d3
	pi2 = 0x13198a2e03707344
	pi3 = 0xa4093822299f31d0
	pi4 = 0x082efa98ec4e6c89
)

// check is the 64-bit check of a key, given as its halves. It need not resist
// who grinds ids: see the package comment.
func check(a, b uint64) uint64 { return fold(fold(a^pi1, b^pi2)^pi3, b^pi4) }

// fold is the exclusive or of the halves of a product.
func fold(x, y uint64) uint64 {
	hi, lo := bits.Mul64(x, y)
	return hi ^ lo
}

// places are the indices of the symbols that a key is mapped to, ascending from
// 0: index i with probability 1/(1+i/2).
type places struct {
	state uint64
	at    int
}

func placesOf(check uint64) places { return places{state: check} }

// next moves to the next index. Every operation is rounded to binary64 by
// itself: the conversions keep a compiler from fusing two into one, which
// rounds once and would put keys elsewhere on some processors.
func (p *places) next() {
	p.state *= 0xda942042e4dd58b5
	u := float64(p.state>>11 + 1) // 1..2^53, exact
	stretch := float64(math.Sqrt(float64((1<<53)/u)) - 1)
	p.at += max(1, int(math.Ceil(float64(float64(float64(p.at)+1.5)*stretch))))
}
