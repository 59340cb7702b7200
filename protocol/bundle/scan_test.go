package bundle

import (
	"bytes"
	"slices"
	"testing"
)

// Sections that only seem to begin make the scanner hash what it need not. It
// does so for no more than a multiple of the file, and finds what is sound.
func TestHostileFramingIsLinear(t *testing.T) {
	const claims = "\xff\xff\x0f" // a section of 262,143 bytes, which do follow
	fake := []byte(claims + "\x01\x71\x12\x20")
	small, _ := appendSection(nil, []byte{0xa0})
	filling := make([]byte, maxSection)
	for name, file := range map[string][]byte{
		"beginnings while framing is lost": slices.Concat(bytes.Repeat(fake, 5000), filling),
		"a sound section after each":       slices.Concat(bytes.Repeat(slices.Concat(fake, small), 2000), filling),
	} {
		s := newScanner(bytes.NewReader(slices.Concat(file, small)))
		sound := 0
		for {
			sec, ok := s.next()
			if !ok {
				break
			}
			if sec.damaged == "" {
				sound++
			}
		}
		if s.offset != int64(len(file)+len(small)) {
			t.Errorf("%s: ended at byte %d of %d", name, s.offset, len(file)+len(small))
		}
		if limit := hashAllowance + hashFactor*s.offset; s.tried > limit {
			t.Errorf("%s: %d bytes hashed for a file of %d", name, s.tried, s.offset)
		}
		if sound == 0 {
			t.Errorf("%s: nothing found", name)
		}
	}
}

func TestReadVarint(t *testing.T) {
	for in, want := range map[string][2]int{
		"\x25":             {37, 1},
		"\x7f\x01":         {127, 1},
		"\x80\x01":         {128, 2},
		"\xff\xff\x0f":     {262143, 3},
		"\x24":             {0, 0}, // a CID and no block
		"\x00":             {0, 0},
		"\xa5\x00":         {0, 0}, // 37 in two bytes
		"\xff\xff\x7f":     {0, 0}, // over the cap
		"\xff\xff\xff\x01": {0, 0}, // four bytes
		"\x80":             {0, 0}, // cut short
		"":                 {0, 0},
	} {
		if n, width := readVarint([]byte(in)); n != want[0] || width != want[1] {
			t.Errorf("%x: %d in %d bytes, want %v", in, n, width, want)
		}
	}
}
