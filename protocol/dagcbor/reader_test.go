package dagcbor

import (
	"errors"
	"math"
	"strings"
	"testing"
)

// The first violation sticks, and what is read after it is zero.
func TestReaderErrorSticks(t *testing.T) {
	r := NewReader([]byte{0x61, 'a', 0x01})
	if n := r.Uint(); n != 0 || r.Err() == nil {
		t.Fatalf("text read as number %d, %v", n, r.Err())
	}
	first := r.Err()
	if r.Uint() != 0 || r.Int() != 0 || r.Text(9) != "" || r.Bytes(9) != nil || r.Array(9) != 0 ||
		r.Map(9) != 0 || r.Key(nil) != nil || r.Link() != [32]byte{} || r.Raw() != nil {
		t.Error("a value after the violation")
	}
	if err := r.End(); err != first || !strings.Contains(err.Error(), "byte 0") {
		t.Errorf("End says %v, the violation was %v", err, first)
	}
}

// A cap is checked on the claimed length, before anything is taken.
func TestReaderCaps(t *testing.T) {
	for name, read := range map[string]func(*Reader){
		"bytes": func(r *Reader) { r.Bytes(2) },
		"text":  func(r *Reader) { r.Text(2) },
		"array": func(r *Reader) { r.Array(2) },
		"map":   func(r *Reader) { r.Map(2) },
	} {
		heads := map[string]byte{"bytes": 0x40, "text": 0x60, "array": 0x80, "map": 0xa0}
		for n := range byte(4) {
			r := NewReader([]byte{heads[name] | n, 'a', 'a', 'a'})
			read(&r)
			if over := n > 2; over != (r.Err() != nil) || (over && !strings.Contains(r.Err().Error(), "cap of 2")) {
				t.Errorf("%s of %d under a cap of 2: %v", name, n, r.Err())
			}
		}
	}
}

func TestReaderTextIsUTF8(t *testing.T) {
	r := NewReader([]byte{0x62, 0xc0, 0xaf})
	if s := r.Text(9); s != "" || r.Err() == nil || !strings.Contains(r.Err().Error(), "UTF-8") {
		t.Errorf("%q, %v", s, r.Err())
	}
}

func TestReaderInt(t *testing.T) {
	for h, want := range map[string]int64{
		"00": 0, "20": -1, "1903e8": 1000, "1b7fffffffffffffff": math.MaxInt64, "3b7fffffffffffffff": math.MinInt64,
	} {
		r := NewReader(unhex(t, h))
		if got := r.Int(); got != want || r.End() != nil {
			t.Errorf("%s: %d, %v", h, got, r.Err())
		}
	}
	for _, h := range []string{"1b8000000000000000", "3b8000000000000000", "4100", "f4"} {
		r := NewReader(unhex(t, h))
		if got := r.Int(); got != 0 || r.Err() == nil {
			t.Errorf("%s: read as %d", h, got)
		}
	}
}

func TestReaderLink(t *testing.T) {
	var digest [32]byte
	digest[0], digest[31] = 7, 9
	b := AppendLink(nil, digest)
	r := NewReader(b)
	if got := r.Link(); got != digest || r.End() != nil {
		t.Fatalf("%x, %v", got, r.Err())
	}
	for i := range b[:len(b)-len(digest)] { // any other tag, codec, hash or length
		b[i] ^= 1
		r := NewReader(b)
		if r.Link(); !errors.Is(r.Err(), ErrNotCanonical) {
			t.Errorf("taken with byte %d flipped", i)
		}
		b[i] ^= 1
	}
	for n := range b {
		r := NewReader(b[:n])
		if r.Link(); !errors.Is(r.Err(), ErrNotCanonical) {
			t.Errorf("taken at %d bytes", n)
		}
	}
}

// What the Reader hands out shares memory but can't grow into what follows.
func TestReaderSlicesAreClosed(t *testing.T) {
	b := []byte{0x42, 1, 2, 0x81, 3, 4}
	r := NewReader(b)
	_ = append(r.Bytes(2), 99)
	_ = append(r.Raw(), 99)
	if b[3] != 0x81 || b[5] != 4 {
		t.Errorf("appending to a result wrote into the input: % x", b)
	}
}
