package slip

import (
	"bytes"
	"errors"
	"testing"
)

// forged is a slip that is well formed, whatever it says.
func forged(id [idSize]byte, index, count byte, part []byte) string {
	b := append(append(bytes.Clone(id[:]), index, count), part...)
	return Prefix + encoding.EncodeToString(append(b, hash("check", b)[:checkSize]...))
}

// What a liar makes is named, and makes no message; nor does it take up room.
func TestForged(t *testing.T) {
	var p Pile
	id := [idSize]byte{1}
	for name, c := range map[string]struct {
		text string
		want error
	}{
		"no part":        {forged(id, 0, 1, nil), ErrMisread},
		"no slips":       {forged(id, 0, 0, []byte("x")), ErrMisread},
		"past the last":  {forged(id, 2, 2, []byte("x")), ErrMisread},
		"too many slips": {forged(id, 0, MaxSlips+1, []byte("x")), ErrMisread},
		"too long":       {forged(id, 0, 1, make([]byte, maxPart+1)), ErrNotSlip},
	} {
		if err := p.Add(c.text); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if len(p.Messages()) != 0 {
		t.Fatal("something was kept")
	}
	if err := p.Add(forged(id, 0, 2, []byte("x"))); err != nil {
		t.Fatal(err)
	}
	if err := p.Add(forged(id, 0, 2, []byte("y"))); !errors.Is(err, ErrConflict) {
		t.Error(err)
	}
	if err := p.Add(forged(id, 1, 3, []byte("y"))); !errors.Is(err, ErrConflict) {
		t.Error(err)
	}
	if err := p.Add(forged(id, 1, 2, []byte("y"))); err != nil {
		t.Fatal(err)
	}
	if m := p.Messages()[0]; m.Body != nil || !errors.Is(m.Err, ErrConflict) {
		t.Errorf("%+v", m)
	}
	long := Pile{}
	for i := range byte(MaxSlips) {
		if err := long.Add(forged(id, i, MaxSlips, make([]byte, maxPart))); err != nil {
			t.Fatal(err)
		}
	}
	if m := long.Messages()[0]; m.Body != nil || m.Err == nil {
		t.Error("a message over the cap")
	}
}

// FuzzAdd: whatever text is taken for a slip is one, in its one form.
func FuzzAdd(f *testing.F) {
	slips, err := Split(bytes.Repeat([]byte("message "), 60))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(slips[0], slips[1])
	f.Add(forged([idSize]byte{}, 3, 7, []byte("x")), "METASTATE:S/1/AAAA")
	f.Fuzz(func(t *testing.T, a, b string) {
		var p Pile
		for _, text := range []string{a, b, a} {
			id, index, count, part, err := parse(text)
			if err == nil {
				if again, i, n, same, err := parse(forged(id, byte(index), byte(count), part)); err != nil || again != id || i != index || n != count || !bytes.Equal(part, same) {
					t.Fatalf("%q is not in its one form: %v", text, err)
				}
			}
			_ = p.Add(text)
		}
		for _, m := range p.Messages() {
			if (m.Body != nil) != (len(m.Missing) == 0 && m.Err == nil) || len(m.Body) > MaxMessage || m.Count > MaxSlips {
				t.Fatalf("%+v", m)
			}
		}
	})
}
