package decision

import (
	"strings"
	"testing"
)

func TestProposeBodyValidate(t *testing.T) {
	good := ProposeBody{Title: "Shall we?", Text: "It would be\ngood.", Method: "yes-no", Class: "ordinary", Voting: 1}
	if err := good.Validate(); err != nil {
		t.Fatal(err)
	}
	for says, change := range map[string]func(*ProposeBody){
		"title must be 1":          func(b *ProposeBody) { b.Title = "" },
		"title must be 1 to 200":   func(b *ProposeBody) { b.Title = strings.Repeat("x", MaxTitle+1) },
		"must be 1 to 200 bytes o": func(b *ProposeBody) { b.Title = "\xff" },
		"one line of printable":    func(b *ProposeBody) { b.Title = "two\nlines" },
		"one line of printable te": func(b *ProposeBody) { b.Title = "turned \u202e around" },
		"one line of printable t":  func(b *ProposeBody) { b.Title = "hidden \u200b space" },
		"the text is over":         func(b *ProposeBody) { b.Text = strings.Repeat("x", MaxText+1) },
		"not valid UTF-8":          func(b *ProposeBody) { b.Text = "\xff" },
		"lasts from one second":    func(b *ProposeBody) { b.Voting = 0 },
		"to 400 days":              func(b *ProposeBody) { b.Voting = MaxVoting + 1 },
		"65 options":               func(b *ProposeBody) { b.Options = make([]string, MaxOptions+1) },
		"the option must be":       func(b *ProposeBody) { b.Options = []string{""} },
		"leave them out":           func(b *ProposeBody) { b.Options = []string{"red", "blue"} },
		"no counting method":       func(b *ProposeBody) { b.Method = "oracle" },
	} {
		bad := good
		change(&bad)
		if err := bad.Validate(); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("got %v, should say %q", err, says)
		}
	}
}

// TestCheckLineKeepsScripts: joiners and marks that languages need are no
// hidden characters.
func TestCheckLineKeepsScripts(t *testing.T) {
	for _, s := range []string{"نامه\u200cای", "क्\u200dष", "Größe", "日本語", "👩\u200d🌾", "a b"} {
		if err := CheckLine("title", s, MaxTitle); err != nil {
			t.Errorf("%q: %v", s, err)
		}
	}
}
