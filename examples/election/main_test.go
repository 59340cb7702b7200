package main

import (
	"io"
	"regexp"
	"strings"
	"testing"
)

// tell runs the story and returns it without how long each chapter took.
func tell(t *testing.T, s settings) string {
	t.Helper()
	var out strings.Builder
	if err := run(&out, s); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	return regexp.MustCompile(`\(\d+\.\d s\)`).ReplaceAllString(out.String(), "")
}

// The whole story at a small size: that sums and seats are those of a count in the
// open, that ballots which came too late do not count, and who lied, is checked as
// it is told. The same seed tells the same.
func TestStory(t *testing.T) {
	s := settings{voters: 200, seed: 3}
	first := tell(t, s)
	for _, want := range []string{
		"200 voters", "closes the vote", "can close nothing alone", "ballot/not-open", "are away, from now to the end",
		"Dishonest: trustee", "open/bad-share", "80 seats. The sums are equal", "PASS  shares", "PASS  result", "names the ballot",
	} {
		if !strings.Contains(first, want) {
			t.Errorf("nothing tells of %q:\n%s", want, first)
		}
	}
	if strings.Contains(first, "complained") {
		t.Error("somebody complains")
	}
	if again := tell(t, s); again != first {
		t.Errorf("the same seed tells\n%s\nand then\n%s", first, again)
	}
}

// A complaint of a good deal convicts its author, who is the one whose share is
// bad, and the election goes on.
func TestComplaint(t *testing.T) {
	text := tell(t, settings{voters: 200, seed: 4, complaint: true})
	accuser := regexp.MustCompile(`Trustee (\d) complained of a deal that is good`).FindStringSubmatch(text)
	liar := regexp.MustCompile(`Dishonest: trustee (\d)\.`).FindStringSubmatch(text)
	if accuser == nil || liar == nil || accuser[1] != liar[1] {
		t.Errorf("complained %q, lied %q:\n%s", accuser, liar, text)
	}
}

// What must hold is looked at: ballots that say something else, a set that lacks
// one, a record that was exchanged, and an honest trustee called a liar end the
// story with an error.
func TestStoryCanFail(t *testing.T) {
	s := &story{out: io.Discard, settings: settings{voters: 200, seed: 5}}
	for _, tell := range []func() error{s.found, s.makeKey, s.vote, s.closing, s.opening, s.seats, s.audit} {
		if err := tell(); err != nil {
			t.Fatal(err)
		}
	}
	fails := func(what, want string, tell func() error) {
		t.Helper()
		if err := tell(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for voter, id := range s.expected {
		said := s.says[id]
		s.says[id] = (said + 1) % len(votes2024)
		fails("a ballot says something else", "in the open", s.seats)
		s.says[id] = said
		delete(s.expected, voter)
		fails("a ballot less was cast", "are sealed", s.sealed)
		s.expected[voter] = id
		kept := s.records[id]
		s.records[id] = s.genesis
		fails("a record was exchanged", "", s.audit)
		s.records[id] = kept
		break
	}
	for _, x := range s.trustees {
		x.lies = !x.lies
	}
	fails("others lied", "those who lied", func() error { return s.tellOpening(s.committee().Kind().K()) })
	if err := s.audit(); err != nil {
		t.Errorf("it is broken by now: %v", err)
	}
}

func TestSettingsAreChecked(t *testing.T) {
	for _, s := range []settings{{voters: 199}, {voters: 10_001}} {
		if err := run(io.Discard, s); err == nil || !strings.Contains(err.Error(), "200 to 10000") {
			t.Errorf("%+v: %v", s, err)
		}
	}
}
