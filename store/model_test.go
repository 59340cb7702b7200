package store

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/metastate-p2p/metastate/protocol"
)

// TestModel compares a store with maps and slices, across reopenings.
func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		dir, err := os.MkdirTemp("", "store")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		m := &model{t: t, dir: dir, private: map[string][]byte{}, certs: map[uint64][]byte{}, pruned: map[protocol.ID]bool{}}
		m.open()
		defer func() { m.s.Close() }()
		t.Repeat(map[string]func(*rapid.T){
			"append":     m.append,
			"checkpoint": m.checkpoint,
			"rewind":     m.rewind,
			"private":    m.putPrivate,
			"commit":     m.commit,
			"prune":      m.prune,
			"reopen":     func(*rapid.T) { m.close(); m.open() },
			"rebuild":    m.rebuild,
			"":           m.check,
		})
	})
}

type model struct {
	t       *rapid.T
	dir     string
	s       *Store
	log     []Item
	private map[string][]byte
	certs   map[uint64][]byte
	pruned  map[protocol.ID]bool
}

func (m *model) ok(err error) {
	if err != nil {
		m.t.Fatal(err)
	}
}

func (m *model) open() {
	s, err := Open(Config{Dir: m.dir, Key: testKey})
	m.ok(err)
	m.s = s
}

func (m *model) close() { m.ok(m.s.Close()) }

func (m *model) items(t *rapid.T) []Item {
	n := uint64(rapid.IntRange(0, 300).Draw(t, "from"))
	return items(n, n+uint64(rapid.SampledFrom([]int{0, 1, 2, 30, 1800}).Draw(t, "n")), 150)
}

func (m *model) added(its []Item) {
	held := map[[32]byte]bool{}
	for _, it := range m.log {
		held[it.ID] = true
	}
	for _, it := range its {
		delete(m.pruned, it.ID)
		if !held[it.ID] {
			m.log = append(m.log, it)
		}
	}
}

func (m *model) append(t *rapid.T) {
	its := m.items(t)
	m.ok(m.s.Append(its...))
	m.added(its)
}

func (m *model) checkpoint(t *rapid.T) {
	h := uint64(rapid.IntRange(0, 5).Draw(t, "height"))
	cert := []byte(fmt.Sprint("cert ", rapid.IntRange(0, 1).Draw(t, "cert")))
	err := m.s.PutCheckpoint(h, cert, []byte("chunk"))
	if old, ok := m.certs[h]; ok && !bytes.Equal(old, cert) {
		if !errors.Is(err, ErrConflict) {
			m.t.Fatalf("rival certificate: %v", err)
		}
		return
	}
	m.ok(err)
	m.certs[h] = cert
}

func (m *model) rewind(t *rapid.T) {
	to := uint64(rapid.IntRange(0, 5).Draw(t, "height"))
	m.ok(m.s.Rewind(to))
	maps.DeleteFunc(m.certs, func(h uint64, _ []byte) bool { return h > to })
}

func (m *model) putPrivate(t *rapid.T) {
	k := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "key")
	if rapid.Bool().Draw(t, "delete") {
		m.ok(m.s.DeletePrivate(k))
		delete(m.private, k)
		return
	}
	v := rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, "value")
	m.ok(m.s.PutPrivate(k, v))
	m.private[k] = v
}

func (m *model) commit(t *rapid.T) {
	its := m.items(t)
	v := rapid.SliceOfN(rapid.Byte(), 1, 40).Draw(t, "value")
	m.ok(m.s.Commit(Batch{Items: its, Private: map[string][]byte{"a": v, "b": nil}}))
	m.added(its)
	m.private["a"] = v
	delete(m.private, "b")
}

func (m *model) prune(t *rapid.T) {
	var ids []protocol.ID
	fresh := 0
	for _, it := range m.items(t) {
		ids = append(ids, it.ID)
	}
	for _, it := range m.log {
		if slices.Contains(ids, it.ID) && !m.pruned[it.ID] {
			m.pruned[it.ID] = true
			fresh++
		}
	}
	n, size, err := m.s.Prune(ids)
	m.ok(err)
	if n != fresh || (size > 0) != (n > 0) {
		m.t.Fatalf("pruned %d records of %d bytes, not %d", n, size, fresh)
	}
}

func (m *model) rebuild(*rapid.T) {
	m.close()
	r, err := Rebuild(Config{Dir: m.dir, Key: testKey})
	m.ok(err)
	if !r.OK() || r.Records != uint64(len(m.log)-len(m.pruned)) || r.Pruned != uint64(len(m.pruned)) {
		m.t.Fatalf("rebuilding a sound store: %+v", r)
	}
	// A rebuilt store does not list what was pruned any more.
	m.log = slices.DeleteFunc(m.log, func(it Item) bool { return m.pruned[it.ID] })
	clear(m.pruned)
	m.open()
}

func (m *model) check(*rapid.T) {
	if m.s.Len() != uint64(len(m.log)) {
		m.t.Fatalf("%d records, want %d", m.s.Len(), len(m.log))
	}
	n := 0
	for e, err := range m.s.Log(0) {
		m.ok(err)
		if e.ID != m.log[n].ID || e.Set != m.log[n].Set {
			m.t.Fatalf("log entry %d differs", n)
		}
		n++
	}
	for i := 0; i < len(m.log); i += 1 + len(m.log)/50 {
		if m.pruned[m.log[i].ID] {
			held, err := m.s.Has(m.log[i].ID)
			if _, gone := m.s.Get(m.log[i].ID); held || err != nil || !errors.Is(gone, ErrNotFound) {
				m.t.Fatalf("a pruned record: %v, %v, %v", held, err, gone)
			}
			continue
		}
		if b, err := m.s.Get(m.log[i].ID); err != nil || !bytes.Equal(b, m.log[i].Inner) {
			m.t.Fatalf("record %d: %v", i, err)
		}
	}
	for _, set := range m.s.Sets() {
		for _, err := range m.s.Set(set) {
			m.ok(err)
		}
	}
	for _, k := range []string{"a", "b", "c"} {
		want, ok := m.private[k]
		got, err := m.s.Private(k)
		if ok && (err != nil || !bytes.Equal(got, want)) || !ok && !errors.Is(err, ErrNotFound) {
			m.t.Fatalf("private %s: %v", k, err)
		}
	}
	for h := range uint64(6) {
		want, ok := m.certs[h]
		got, err := m.s.Checkpoint(h)
		if ok && (err != nil || !bytes.Equal(got.Cert, want)) || !ok && !errors.Is(err, ErrNotFound) {
			m.t.Fatalf("certificate %d: %v", h, err)
		}
	}
}
