package slip_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/metastate-p2p/metastate/protocol/slip"
)

func Example() {
	slips, err := slip.Split([]byte(strings.Repeat("what is to be carried ", 20)))
	if err != nil {
		fmt.Println(err)
		return
	}
	var p slip.Pile
	for _, text := range slices.Backward(slips) {
		if err := p.Add(text); err != nil {
			fmt.Println(err)
		}
	}
	m := p.Messages()[0]
	fmt.Println(len(slips), "slips,", len(m.Body), "bytes")
	// Output: 3 slips, 440 bytes
}

// In any order, as often as they come, and mixed with those of others, slips make
// the messages that they are of; while some are missing these are named, and
// nothing is made.
func TestAnyOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var p slip.Pile
		var all []string
		var messages [][]byte
		var slips [][]string
		for range rapid.IntRange(1, 3).Draw(t, "messages") {
			m := rapid.SliceOfN(rapid.Byte(), 1, slip.MaxMessage).Draw(t, "message")
			if rapid.Bool().Draw(t, "large") {
				m = bytes.Repeat(m, 1+slip.MaxMessage/len(m))[:rapid.IntRange(1, slip.MaxMessage).Draw(t, "size")]
			}
			s, err := slip.Split(m)
			if err != nil {
				t.Fatal(err)
			}
			if slices.ContainsFunc(messages, func(o []byte) bool { return bytes.Equal(o, m) }) {
				continue
			}
			messages, slips, all = append(messages, m), append(slips, s), append(all, s...)
		}
		order := rapid.Permutation(append(all, rapid.SliceOfN(rapid.SampledFrom(all), 0, 10).Draw(t, "again")...)).Draw(t, "order")
		shown := order[:rapid.IntRange(1, len(order)).Draw(t, "shown")]
		for _, text := range shown {
			if err := p.Add(" " + text + "\n"); err != nil {
				t.Fatal(err)
			}
		}
		check := func(shown []string) {
			found := 0
			for i, s := range slips {
				var missing []int
				for j, text := range s {
					if !slices.Contains(shown, text) {
						missing = append(missing, j+1)
					}
				}
				if len(missing) == len(s) {
					continue
				}
				found++
				if !slices.ContainsFunc(p.Messages(), func(m slip.Message) bool {
					return m.Count == len(s) && slices.Equal(m.Missing, missing) && m.Err == nil &&
						(len(missing) > 0) == (m.Body == nil) && (m.Body == nil || bytes.Equal(m.Body, messages[i]))
				}) {
					t.Fatalf("message %d, of which %v are missing, is not there", i, missing)
				}
			}
			if len(p.Messages()) != found {
				t.Fatalf("%d messages, of %d slips were shown", len(p.Messages()), found)
			}
		}
		check(shown)
		for _, text := range order {
			if err := p.Add(strings.ToLower(text)); err != nil {
				t.Fatal(err)
			}
		}
		check(order)
	})
}

// A slip with any character changed, left out or put in is told from a sound one.
func TestMisread(t *testing.T) {
	slips, err := slip.Split([]byte("a message"))
	if err != nil {
		t.Fatal(err)
	}
	text := slips[0]
	for i := range text {
		for name, changed := range map[string]string{
			"changed":  text[:i] + string("AB"[(text[i]&1)]) + text[i+1:],
			"left out": text[:i] + text[i+1:],
			"put in":   text[:i] + "7" + text[i:],
		} {
			if changed == text {
				continue
			}
			if err := new(slip.Pile).Add(changed); !errors.Is(err, slip.ErrMisread) && !errors.Is(err, slip.ErrNotSlip) {
				t.Errorf("character %d %s: %v", i, name, err)
			}
		}
	}
}

func TestBounds(t *testing.T) {
	for _, n := range []int{0, slip.MaxMessage + 1} {
		if _, err := slip.Split(make([]byte, n)); !errors.Is(err, slip.ErrTooMuch) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
	slips, err := slip.Split(make([]byte, slip.MaxMessage))
	if err != nil || len(slips) > slip.MaxSlips {
		t.Fatal(len(slips), err)
	}
	for _, s := range slips {
		if len(s) > slip.MaxText || len(s) > 366 { // what a code of 61 modules a side holds at level M
			t.Errorf("a slip of %d characters", len(s))
		}
	}
	var p slip.Pile
	for i := range 20 {
		s, err := slip.Split([]byte{byte(i)})
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Add(s[0]); (i >= 16) != errors.Is(err, slip.ErrTooMuch) {
			t.Errorf("message %d: %v", i, err)
		}
	}
	if err := new(slip.Pile).Add(slip.Prefix + strings.Repeat("A", slip.MaxText)); !errors.Is(err, slip.ErrNotSlip) {
		t.Error(err)
	}
}
