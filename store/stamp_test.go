package store

import (
	"testing"
)

// A stamp is another after anything was stored, and while the store is open.
func TestStamp(t *testing.T) {
	dir := t.TempDir()
	if _, err := Stamp(dir); err == nil {
		t.Error("there is a stamp of nothing")
	}
	seen := map[[32]byte]string{}
	stamp := func(when string) (s [32]byte) {
		t.Helper()
		s, err := Stamp(dir)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	for _, step := range []struct {
		what string
		do   func(*Store) error
	}{
		{"made", func(*Store) error { return nil }},
		{"a record", func(s *Store) error { return s.Append(items(0, 1, 100)...) }},
		{"a private value", func(s *Store) error { return s.PutPrivate("x", []byte("1")) }},
		{"another", func(s *Store) error { return s.PutPrivate("x", []byte("2")) }},
		{"none", func(s *Store) error { return s.DeletePrivate("x") }},
	} {
		s := mustOpen(t, dir)
		open := stamp(step.what)
		must(t, step.do(s))
		must(t, s.Close())
		closed := stamp(step.what)
		if open == closed {
			t.Errorf("%s: open or closed, the stamp is the same", step.what)
		}
		if was, ok := seen[closed]; ok {
			t.Errorf("after %s the stamp is that after %s", step.what, was)
		}
		seen[closed] = step.what
		must(t, mustOpen(t, dir).Close())
		if stamp(step.what) != closed {
			t.Errorf("%s: opening and closing changed the stamp", step.what)
		}
	}
}
