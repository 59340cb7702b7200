package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/metastate-p2p/metastate/protocol"
)

func TestAppendAndReopen(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "s")
	s := mustOpen(t, dir)
	want := items(0, 3000, 300)
	must(t, s.Append(want[:10]...))
	must(t, s.Append(want[5:1500]...)) // some twice
	must(t, s.Append(want[1500:]...))
	must(t, s.Append(append(want[:3:3], want[2999])...))
	holds(t, s, want)
	must(t, s.Close())
	must(t, s.Close())
	if _, err := s.Get(want[0].ID); !errors.Is(err, ErrClosed) {
		t.Fatalf("Get after Close: %v", err)
	}
	s = mustOpen(t, dir)
	holds(t, s, want)
	r, err := s.Verify(context.Background())
	if err != nil || !r.OK() || r.Records != 3000 {
		t.Fatalf("Verify: %+v %v", r, err)
	}
	n := 0
	for e, err := range s.Log(2990) {
		must(t, err)
		if e.ID != want[2990+n].ID {
			t.Fatal("Log(2990) starts elsewhere")
		}
		n++
	}
	if n != 10 {
		t.Fatalf("Log(2990) has %d entries", n)
	}
	if _, err := s.Get(protocol.Sum(nil)); !errors.Is(err, ErrNotFound) {
		t.Fatalf("Get of a stranger: %v", err)
	}
	if ok, err := s.Has(want[7].ID); !ok || err != nil {
		t.Fatal(ok, err)
	}
}

func TestRefusals(t *testing.T) {
	s := mustOpen(t, t.TempDir())
	good, other := item(1, 300), item(2, 300)
	long := item(3, MaxValue+200)
	trailing := append(bytes.Clone(good.Inner), 0)
	for name, c := range map[string]struct {
		it   Item
		want error
	}{
		"another id":     {Item{ID: other.ID, Inner: good.Inner}, ErrMismatch},
		"not cbor":       {Item{ID: protocol.Sum(nil), Inner: []byte("x")}, ErrMismatch},
		"trailing bytes": {Item{ID: good.ID, Inner: trailing}, ErrMismatch},
		"too large":      {long, ErrTooLarge},
	} {
		if err := s.Append(other, c.it); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if s.Len() != 0 {
		t.Fatal("part of a refused batch was stored")
	}
	if err := s.PutPrivate("x", make([]byte, MaxValue+1)); !errors.Is(err, ErrTooLarge) {
		t.Error(err)
	}
	if err := s.PutPrivate("", nil); !errors.Is(err, ErrTooLarge) {
		t.Error(err)
	}
	must(t, s.PutPrivate("x", make([]byte, MaxValue)))
	must(t, s.Append(item(4, MaxValue-100)))
	must(t, s.PutCheckpoint(1, make([]byte, MaxValue-100), make([]byte, MaxValue)))
}

func TestLockAndKey(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir)
	must(t, s.Append(items(0, 10, 100)...))
	if _, err := Open(Config{Dir: dir, Key: testKey}); !errors.Is(err, ErrLocked) {
		t.Fatalf("second Open: %v", err)
	}
	if _, err := Rebuild(Config{Dir: dir, Key: testKey}); !errors.Is(err, ErrLocked) {
		t.Fatalf("Rebuild of an open store: %v", err)
	}
	must(t, s.Close())
	if _, err := Open(Config{Dir: dir, Key: make([]byte, 32)}); !errors.Is(err, ErrKey) {
		t.Fatalf("wrong key: %v", err)
	}
	if _, err := Rebuild(Config{Dir: dir, Key: make([]byte, 32)}); !errors.Is(err, ErrKey) {
		t.Fatalf("Rebuild with wrong key: %v", err)
	}
	if _, err := Open(Config{Dir: dir, Key: nil}); err == nil {
		t.Fatal("no key")
	}
	holds(t, mustOpen(t, dir), items(0, 10, 100))
	if err := checkClock(time.Unix(1000, 0)); err == nil {
		t.Fatal("a clock at 1970 would make Badger write in clear")
	}
}

func TestNothingInClear(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir)
	it := item(1, 300)
	must(t, s.Append(it))
	must(t, s.PutPrivate("a-private-key", []byte("a-private-value")))
	look := func() {
		t.Helper()
		files := 0
		must(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			files++
			b, err := os.ReadFile(path)
			for _, secret := range [][]byte{it.ID[:], it.Inner[8:60], []byte("a-private"), testKey} {
				if bytes.Contains(b, secret) {
					t.Errorf("%s holds content in clear", path)
				}
			}
			return err
		}))
		if files < 6 {
			t.Fatalf("only %d files", files)
		}
	}
	look()
	must(t, s.Close())
	look()
}

func TestFileModes(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "s")
	must(t, os.Mkdir(dir, 0o755)) // made by someone else
	check := func() {
		t.Helper()
		must(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := d.Info()
			want := fs.FileMode(0o600)
			if d.IsDir() {
				want = 0o700
			}
			if err == nil && info.Mode().Perm() != want {
				t.Errorf("%s is %v", path, info.Mode())
			}
			return err
		}))
	}
	s := mustOpen(t, dir)
	check()
	must(t, s.Append(items(0, 1500, 300)...))
	must(t, s.PutCheckpoint(1, []byte("c")))
	check()
	must(t, s.Close())
	check()
}

func TestCheckpoints(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir)
	if _, err := s.Checkpoint(9); !errors.Is(err, ErrNotFound) {
		t.Fatal(err)
	}
	chunks := [][]byte{[]byte("one"), make([]byte, 60000), make([]byte, MaxValue)}
	for _, h := range []uint64{5, 2, 9} {
		must(t, s.PutCheckpoint(h, fmt.Appendf(nil, "cert %d", h), chunks...))
		must(t, s.PutCheckpoint(h, fmt.Appendf(nil, "cert %d", h), chunks...))
	}
	if err := s.PutCheckpoint(5, []byte("another"), chunks...); !errors.Is(err, ErrConflict) {
		t.Fatalf("a rival certificate: %v", err)
	}
	for range 2 {
		c, err := s.Checkpoint(9)
		if err != nil || c.Height != 9 || string(c.Cert) != "cert 9" || len(c.Chunks) != 3 {
			t.Fatalf("%+v %v", c, err)
		}
		for i, id := range c.Chunks {
			if b, err := s.Chunk(id); err != nil || !bytes.Equal(b, chunks[i]) {
				t.Fatalf("chunk %d: %v", i, err)
			}
		}
		if c, err := s.Checkpoint(2); err != nil || string(c.Cert) != "cert 2" {
			t.Fatalf("%+v %v", c, err)
		}
		if _, err := s.Checkpoint(3); !errors.Is(err, ErrNotFound) {
			t.Fatal(err)
		}
		if _, err := s.Chunk(protocol.Sum([]byte("?"))); !errors.Is(err, ErrNotFound) {
			t.Fatal(err)
		}
		must(t, s.Close())
		s = mustOpen(t, dir)
	}
}

func TestCommitIsWhole(t *testing.T) {
	s := mustOpen(t, t.TempDir())
	must(t, s.PutCheckpoint(1, []byte("first")))
	err := s.Commit(Batch{
		Items:      items(0, 5000, 300), // several transactions
		Checkpoint: &Checkpoint{Height: 1, Cert: []byte("rival")},
		Private:    map[string][]byte{"k": {1}},
	})
	if !errors.Is(err, ErrConflict) || s.Len() != 0 || len(s.PrivateKeys("")) != 0 {
		t.Fatalf("%v, %d records", err, s.Len())
	}
	must(t, s.Commit(Batch{
		Items:      items(0, 5000, 300),
		Checkpoint: &Checkpoint{Height: 2, Cert: []byte("second")},
		Private:    map[string][]byte{"k": {1}},
	}))
	holds(t, s, items(0, 5000, 300))
	if _, err := s.read([]byte{rowIntent}); !errors.Is(err, ErrNotFound) {
		t.Fatal("the note of an unfinished batch stayed")
	}
}

// An unfinished batch is undone at the next Open, and hidden before.
func TestUnfinishedBatch(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir)
	want := items(0, 100, 300)
	must(t, s.Append(want...))
	p, err := s.plan(Batch{Items: items(100, 12000, 300)})
	must(t, err)
	txns := s.transactions(p)
	if len(txns) < 3 {
		t.Fatalf("%d transactions", len(txns))
	}
	for _, txn := range txns[:len(txns)-1] {
		must(t, s.write(txn))
	}
	holds(t, s, want)
	if _, err := s.Get(item(100, 300).ID); !errors.Is(err, ErrNotFound) {
		t.Fatalf("half a batch shows: %v", err)
	}
	must(t, s.Close())
	r, err := Rebuild(Config{Dir: dir, Key: testKey})
	if err != nil || !r.OK() || r.Records != 100 {
		t.Fatalf("Rebuild: %+v %v", r, err)
	}
	s = mustOpen(t, dir)
	holds(t, s, want)
	must(t, s.Append(items(100, 12000, 300)...))
	holds(t, s, items(0, 12000, 300))
}

func TestUnfinishedBatchIsUndone(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir)
	want := items(0, 100, 300)
	must(t, s.Append(want...))
	p, err := s.plan(Batch{Items: items(100, 12000, 300)})
	must(t, err)
	txns := s.transactions(p)
	must(t, s.write(txns[0]))
	must(t, s.write(txns[1]))
	// As after a crash: the inventory is not marked clean.
	must(t, s.home.seal(s.inventory(false)))
	must(t, s.db.Close())
	must(t, s.home.unlock())
	s.life.end()
	s = mustOpen(t, dir)
	holds(t, s, want)
	for range s.Set(item(101, 300).Set) {
	}
	must(t, s.Append(items(100, 200, 300)...))
	must(t, s.Close())
	s = mustOpen(t, dir)
	holds(t, s, items(0, 200, 300))
}

// Many private values are stored together though no batch takes them all.
func TestPutPrivates(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir)
	values := map[string][]byte{"gone": nil}
	for i := range 40 {
		values[fmt.Sprintf("large %02d", i)] = bytes.Repeat([]byte{byte(i)}, 100_000)
	}
	values["largest"] = bytes.Repeat([]byte{1}, MaxValue)
	must(t, s.PutPrivate("gone", []byte("x")))
	must(t, s.PutPrivates(values))
	must(t, s.PutPrivates(nil))
	must(t, s.Close())
	s = mustOpen(t, dir)
	for k, want := range values {
		got, err := s.Private(k)
		if want == nil && !errors.Is(err, ErrNotFound) || want != nil && (err != nil || !bytes.Equal(got, want)) {
			t.Errorf("%s: %d bytes, %v", k, len(got), err)
		}
	}
	if err := s.PutPrivates(map[string][]byte{"x": make([]byte, MaxValue+1)}); !errors.Is(err, ErrTooLarge) {
		t.Error("too large:", err)
	}
}

func TestPrivate(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir)
	must(t, s.PutPrivate("vote/1", []byte("a")))
	must(t, s.PutPrivate("vote/2", []byte("b")))
	must(t, s.PutPrivate("peer", []byte{}))
	must(t, s.PutPrivate("vote/1", []byte("c")))
	must(t, s.DeletePrivate("vote/2"))
	must(t, s.DeletePrivate("vote/3"))
	for range 2 {
		if v, err := s.Private("vote/1"); err != nil || string(v) != "c" {
			t.Fatal(v, err)
		}
		if v, err := s.Private("peer"); err != nil || len(v) != 0 {
			t.Fatal(v, err)
		}
		if _, err := s.Private("vote/2"); !errors.Is(err, ErrNotFound) {
			t.Fatal(err)
		}
		if k := s.PrivateKeys("vote/"); len(k) != 1 || k[0] != "vote/1" {
			t.Fatal(k)
		}
		must(t, s.Close())
		s = mustOpen(t, dir)
	}
}

// Calls and iterations begun before Close finish; Close waits for them.
func TestCloseWaits(t *testing.T) {
	s := mustOpen(t, t.TempDir())
	must(t, s.Append(items(0, 100, 100)...))
	closed := make(chan error, 1)
	n := 0
	for _, err := range s.Log(0) {
		must(t, err)
		if n++; n == 1 {
			go func() { closed <- s.Close() }()
			for s.life.enter() == nil { // until Close has begun
				s.life.leave()
			}
		}
		select {
		case <-closed:
			t.Fatal("Close did not wait")
		default:
		}
	}
	if n != 100 {
		t.Fatalf("the iteration ended after %d", n)
	}
	must(t, <-closed)
}

func TestLifetime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l lifetime
		must(t, l.enter())
		must(t, l.enter())
		var ended atomic.Bool
		go func() { l.end(); ended.Store(true) }()
		for range 2 {
			synctest.Wait()
			if ended.Load() {
				t.Fatal("ended under a running call")
			}
			if err := l.enter(); !errors.Is(err, ErrClosed) {
				t.Fatalf("a new call: %v", err)
			}
			l.leave()
		}
		synctest.Wait()
		if !ended.Load() || l.end() {
			t.Fatal("did not end, or twice")
		}
	})
}

func TestMemory(t *testing.T) {
	s, err := Open(Config{Key: testKey, InMemory: true})
	must(t, err)
	defer s.Close()
	must(t, s.Append(items(0, 2000, 300)...))
	must(t, s.PutCheckpoint(3, []byte("c"), []byte("k")))
	holds(t, s, items(0, 2000, 300))
}
