package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// tell runs the story and returns it without how long that took.
func tell(t *testing.T, s settings) string {
	t.Helper()
	var out strings.Builder
	if err := run(&out, s); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	text, took, ok := strings.Cut(out.String(), "That was ")
	if !ok {
		t.Fatalf("the story has no end:\n%s", text)
	}
	t.Log(took)
	return text
}

// A seed tells the same story to the byte, and another another; the drawing is
// well formed.
func TestStory(t *testing.T) {
	drawing := filepath.Join(t.TempDir(), "s.svg")
	small := settings{members: 120, seed: 3, width: 80, svg: drawing}
	first := tell(t, small)
	picture, err := os.ReadFile(drawing)
	if err != nil {
		t.Fatal(err)
	}
	if again := tell(t, small); again != first {
		t.Errorf("the same seed tells\n%s\nand then\n%s", first, again)
	}
	if again, err := os.ReadFile(drawing); err != nil || !bytes.Equal(again, picture) {
		t.Errorf("the same seed draws something else: %v", err)
	}
	for d := xml.NewDecoder(bytes.NewReader(picture)); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal("the drawing: ", err)
		}
	}
	root := regexp.MustCompile(`state root [0-9a-f]{16}`)
	other := tell(t, settings{members: 120, seed: 4, width: 80})
	if a, b := root.FindString(first), root.FindString(other); a == "" || a == b {
		t.Errorf("two seeds end at %q and %q", a, b)
	}
	for _, want := range []string{
		"the network falls apart", "the network is whole again", "void, equivocation", "void, power", "void, ballot/seq",
		"refused: its poll has closed", "more than 64 records", "signature does not hold", "refused by the other clerks", "5 clerks go on",
		"The minority asks          passed",
	} {
		if !strings.Contains(first+other, want) {
			t.Errorf("nothing tells of %q:\n%s", want, first)
		}
	}
}

// What must hold is looked at: a record that is exchanged for another, and a
// count that leaves somebody out, end the story with an error.
func TestStoryCanFail(t *testing.T) {
	w, err := found(settings{members: 100, seed: 5, width: 80})
	if err == nil {
		err = w.live()
	}
	if err == nil {
		err = w.tellEnd(io.Discard)
	}
	if err != nil {
		t.Fatal(err)
	}
	last := w.told.ballots[len(w.told.ballots)-1]
	last.choice = "abstain" // which nobody chose
	w.told.ballots = append(w.told.ballots, last)
	if err := w.tellEnd(io.Discard); err == nil || !strings.Contains(err.Error(), "is not counted") {
		t.Errorf("a ballot that was not cast: %v", err)
	}
	w.told.ballots = w.told.ballots[:len(w.told.ballots)-1]
	w.history.records[len(w.history.records)/2] = w.history.records[0]
	if err := w.tellEnd(io.Discard); err == nil {
		t.Error("a record that was exchanged goes unnoticed")
	}
}

func TestSettingsAreChecked(t *testing.T) {
	for _, s := range []settings{{members: 99, width: 80}, {members: 5001, width: 80}, {members: 100, width: 39}, {members: 100, width: 401}} {
		if err := run(io.Discard, s); err == nil {
			t.Errorf("%+v is taken", s)
		}
	}
}
