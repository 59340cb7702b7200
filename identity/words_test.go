package identity_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/tyler-smith/go-bip39/wordlists"
	"pgregory.net/rapid"

	"github.com/metastate-p2p/metastate/identity"
)

func TestWordsBIP39(t *testing.T) {
	var vectors [][]string
	readShared(t, "bip39/english.json", &vectors)
	n := 0
	for _, v := range vectors {
		if len(v[0]) != 64 {
			continue // 128 and 192 bits: not ours
		}
		n++
		e := identity.Entropy(unhex(t, v[0]))
		words := identity.Words(e)
		if got := strings.Join(words[:], " "); got != v[1] {
			t.Errorf("%s: words %q, want %q", v[0], got, v[1])
		}
		if got, err := identity.EntropyFromWords(v[1]); err != nil || got != e {
			t.Errorf("%s: %v from %q", v[0], err, v[1])
		}
	}
	if n != 8 {
		t.Errorf("%d vectors of 256 bits, want 8", n)
	}
}

func text(e identity.Entropy) string { w := identity.Words(e); return strings.Join(w[:], " ") }

// Law: what is written is read back, however it is spaced and whichever case.
func TestWordsTolerant(t *testing.T) {
	spaces := []string{" ", "  ", "\n", "\r\n", "\t", "\u00a0", "\u202f", "\u3000", "\u200b ", "\ufeff"}
	rapid.Check(t, func(t *rapid.T) {
		e := identity.Entropy(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "e"))
		typed := rapid.SampledFrom(append(spaces, "")).Draw(t, "before")
		for _, w := range identity.Words(e) {
			switch rapid.IntRange(0, 2).Draw(t, "case") {
			case 0:
				w = strings.ToUpper(w)
			case 1:
				w = strings.ToUpper(w[:1]) + w[1:]
			}
			typed += w + rapid.SampledFrom(spaces).Draw(t, "after")
		}
		if got, err := identity.EntropyFromWords(typed); err != nil || got != e {
			t.Fatalf("%q: %v", typed, err)
		}
	})
}

func TestWordsRefuse(t *testing.T) {
	good := strings.Fields(text(identity.Entropy{31: 7}))
	for name, s := range map[string]string{
		"none": "", "spaces": " \u00a0 ", "23": strings.Join(good[:23], " "),
		"25": strings.Join(append([]string{"zoo"}, good...), " "), "12": strings.Repeat("abandon ", 11) + "about",
		"long": strings.Repeat("abandon ", 24) + strings.Repeat(" ", 1<<20),
	} {
		if _, err := identity.EntropyFromWords(s); !errors.Is(err, identity.ErrWordCount) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for i := range good {
		bad := append([]string(nil), good...)
		bad[i] = "sekret"
		_, err := identity.EntropyFromWords(strings.Join(bad, " "))
		unknown, ok := errors.AsType[*identity.UnknownWordError](err)
		if !ok || unknown.Position != i+1 {
			t.Errorf("unknown word %d: %v", i+1, err)
		}
		if err != nil && strings.Contains(err.Error(), "sekret") {
			t.Errorf("the error repeats what was typed: %v", err)
		}
	}
	if _, err := identity.EntropyFromWords(strings.Repeat("abandon ", 24)); !errors.Is(err, identity.ErrWordChecksum) {
		t.Errorf("24 × abandon: %v", err)
	}
}

// The lookup is a binary search.
func TestWordListIsSorted(t *testing.T) {
	if len(wordlists.English) != 2048 {
		t.Fatalf("%d words", len(wordlists.English))
	}
	for i := 1; i < len(wordlists.English); i++ {
		if wordlists.English[i-1] >= wordlists.English[i] {
			t.Fatalf("%q before %q", wordlists.English[i-1], wordlists.English[i])
		}
	}
}

func FuzzEntropyFromWords(f *testing.F) {
	f.Add(text(identity.Entropy{}))
	f.Add(strings.Repeat("zoo ", 23) + "VOTE\u00a0")
	f.Fuzz(func(t *testing.T, s string) {
		e, err := identity.EntropyFromWords(s)
		if err != nil {
			if e != (identity.Entropy{}) {
				t.Fatal("entropy beside an error")
			}
			return
		}
		if again, err := identity.EntropyFromWords(text(e)); err != nil || again != e {
			t.Fatal("words of the entropy read differ", err)
		}
	})
}
