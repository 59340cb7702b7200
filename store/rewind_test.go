package store

import (
	"errors"
	"fmt"
	"testing"
)

// Certificates can be withdrawn and others put in their place, however many;
// what was withdrawn does not come back, not by a rebuild either.
func TestRewind(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir)
	for h := uint64(1); h <= 2*rewindStep+7; h++ {
		must(t, s.PutCheckpoint(h, fmt.Append(nil, "first ", h)))
	}
	must(t, s.Rewind(3))
	must(t, s.Rewind(3))
	must(t, s.PutCheckpoint(4, []byte("other")))
	must(t, s.Close())
	r, err := Rebuild(Config{Dir: dir, Key: testKey})
	if err != nil || !r.OK() {
		t.Fatalf("%+v %v", r, err)
	}
	s = mustOpen(t, dir)
	for h, want := range map[uint64]string{3: "first 3", 4: "other"} {
		if c, err := s.Checkpoint(h); err != nil || string(c.Cert) != want {
			t.Errorf("at %d: %q %v", h, c.Cert, err)
		}
	}
	for _, h := range []uint64{5, rewindStep, 2*rewindStep + 7} {
		if _, err := s.Checkpoint(h); !errors.Is(err, ErrNotFound) {
			t.Errorf("at %d: %v", h, err)
		}
	}
	if err := s.PutCheckpoint(4, []byte("a third")); !errors.Is(err, ErrConflict) {
		t.Error(err)
	}
}
