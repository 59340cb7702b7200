package node

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// One person in two metastates is two strangers: no string of 16 bytes or more
// is shared between the records, stores and wire traffic of the two, but what
// strangers share too. Boris lives in X and Y; Quentin, who never met him,
// leads the same life in Z, and what his life yields are the public constants.
//
// The lives follow each other, so that they share no second of the clock. The
// wire is tapped inside the secure channel, above the muxer: every byte that
// either end writes, each write by itself, for the order of frames says nothing
// of who sent them. The one thing masked is the number of a TCP port,
// which follows this machine's address in every text that has both: one address
// is one address. A string is public also if a stranger has
// it but for less than half: counters, lengths and times stand amid constants, and
// what tells a person from others is not that short.
func TestNoBytesSharedBetweenMetastates(t *testing.T) {
	tap := &wiretap{writes: map[string][][]byte{}}
	boris := openFolder(t, tap)
	quentin := openFolder(t, tap)
	z := live(t, tap, quentin, "Zitherists", [3]string{"Zoe", "Quentin", "Zara"})
	x := live(t, tap, boris, "Xylophones", [3]string{"Xena", "Boris", "Xaver"})
	y := live(t, tap, boris, "Yodellers", [3]string{"Yara", "Bee", "Yves"})
	for _, n := range []*Node{boris, quentin} {
		if err := n.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for _, l := range []*life{x, y, z} {
		l.addFiles(t)
		t.Log(l.name, "left", l.bytes(), "bytes in", len(l.strings), "strings")
	}
	inX, inZ := x.windows(), z.windows()
	looks := 0
	public := func(w [window]byte) bool {
		if inZ[w] {
			return true
		}
		looks++ // each is slow; a comparison that needs many has found a leak
		return looks < 500 && nearly(w, inZ)
	}
	leaks, constants := map[string][]string{}, map[string][]string{}
	for _, s := range y.strings {
		for text, known := range s.shared(inX, public) {
			if known {
				constants[text] = append(constants[text], s.label)
			} else {
				leaks[text] = append(leaks[text], s.label)
			}
		}
	}
	for text, where := range leaks {
		t.Errorf("shared by the two metastates of one person: %q in %s", text, origins(where))
	}
	t.Log(len(constants), "public constants, shared by strangers too:")
	for text, where := range constants {
		t.Logf("%.80q in %s", text, origins(where))
	}
	if len(constants) == 0 {
		t.Error("not even a public constant is shared: the comparison does not see")
	}
	// The comparison must see a leak: the same bytes put in both.
	planted := []byte("a persona seen in both")
	x.add("planted", planted)
	found := false
	for _, known := range (labelled{"planted", planted}).shared(x.windows(), public) {
		found = found || !known
	}
	if !found {
		t.Error("a planted leak was not found")
	}
}

func origins(where []string) string {
	slices.Sort(where)
	return strings.Join(slices.Compact(where), ", ")
}

// A life is all that a person's time in one metastate leaves behind.
type life struct {
	name    string
	strings []labelled
	dir     string // of the person's store
}

type labelled struct {
	label string
	b     []byte
}

const window = 16

var port = regexp.MustCompile(`/tcp/[0-9]+`)

func (l *life) add(label string, b []byte) {
	if b = port.ReplaceAll(bytes.TrimRight(b, "\x00"), []byte("/tcp/0")); len(b) >= window {
		l.strings = append(l.strings, labelled{label, b})
	}
}

func (l *life) bytes() (n int) {
	for _, s := range l.strings {
		n += len(s.b)
	}
	return n
}

func (l *life) windows() map[[window]byte]bool {
	out := make(map[[window]byte]bool, l.bytes())
	for _, s := range l.strings {
		for i := range len(s.b) - window + 1 {
			out[[window]byte(s.b[i:])] = true
		}
	}
	return out
}

// nearly reports whether a window differs from one of those in less than half
// of its bytes.
func nearly(w [window]byte, in map[[window]byte]bool) bool {
	for o := range in {
		differ := 0
		for i := range w {
			if w[i] != o[i] {
				differ++
			}
		}
		if differ < window/2 {
			return true
		}
	}
	return false
}

// shared yields the longest strings of s all of whose windows are in with, and
// whether all of them are public too.
func (s labelled) shared(with map[[window]byte]bool, public func([window]byte) bool) iter.Seq2[string, bool] {
	return func(yield func(string, bool) bool) {
		known := false
		begin := -1
		flush := func(end int) bool {
			from := begin
			begin = -1
			return from < 0 || yield(string(s.b[from:end+window-1]), known)
		}
		for i := range len(s.b) - window + 1 {
			w := [window]byte(s.b[i:])
			if !with[w] {
				if !flush(i) {
					return
				}
				continue
			}
			p := public(w)
			if p != known && !flush(i) {
				return
			}
			if begin < 0 {
				begin, known = i, p
			}
		}
		flush(len(s.b) - window + 1)
	}
}

// live has a person join a metastate that a stranger founds, invite another
// stranger, propose, vote, and see the result.
func live(t *testing.T, tap *wiretap, person *Node, name string, people [3]string) *life {
	t.Helper()
	stranger := Config{Ephemeral: true, underlay: tap.underlay}
	na, nc := mustOpen(t, stranger), mustOpen(t, stranger)
	a := foundAs(t, na, name, people[0])
	p, toPerson := enterBy(t, person, a, people[1])
	c, toGuest := enterBy(t, nc, p, people[2])
	all := []*Community{a, p, c}
	ref, err := p.Propose(t.Context(), ProposeRequest{Title: name + "?", ClosesIn: 2 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	vote := ref.Proposal.String()
	for _, m := range all {
		await(t, m, "the vote opens", func() bool { got, err := m.Proposal(vote); return err == nil && got.MayVote })
		if _, err := m.Vote(t.Context(), vote, "yes"); err != nil {
			t.Fatal(err)
		}
	}
	for _, m := range all {
		await(t, m, "the count", func() bool { got, err := m.Tally(vote); return err == nil && got.Final && got.Counted == 3 })
		if _, err := m.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	l := &life{name: name, dir: person.storeDir(p.id)}
	for _, link := range []string{toPerson, toGuest} {
		b, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(link, linkPrefix))
		if err != nil {
			t.Fatal(err)
		}
		l.add("link, text", []byte(link))
		l.add("link, bytes", b)
	}
	var ids []string
	for _, m := range all {
		l.addContents(t, m)
		ids = append(ids, m.member.ID(), m.lobby.ID())
	}
	for _, n := range []*Node{na, nc} {
		if err := n.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if n := l.addWire(tap, ids); n < 10<<10 {
		t.Errorf("only %d bytes were tapped", n)
	}
	return l
}

// addContents takes everything that a community's store holds, as it is before
// the store encrypts it, and what its views say.
func (l *life) addContents(t *testing.T, c *Community) {
	t.Helper()
	for e, err := range c.store.Log(0) {
		if err != nil {
			t.Fatal(err)
		}
		inner, err := c.store.Get(e.ID)
		if err != nil {
			t.Fatal(err)
		}
		l.add("record", inner)
	}
	for h := uint64(1); h <= c.Status().Checkpoint.Height; h++ {
		cp, err := c.store.Checkpoint(h)
		if err != nil {
			t.Fatal(err)
		}
		l.add("certificate", cp.Cert)
		for _, id := range cp.Chunks {
			b, err := c.store.Chunk(id)
			if err != nil {
				t.Fatal(err)
			}
			l.add("chunk", b)
		}
	}
	for _, key := range c.store.PrivateKeys("") {
		b, err := c.store.Private(key)
		if err != nil {
			t.Fatal(err)
		}
		l.add("private value "+strings.SplitAfter(key, "/")[0], b)
	}
	roll, err := c.Roll(nil, true)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range roll.Members {
		b, err := json.Marshal(m.Persona)
		if err != nil {
			t.Fatal(err)
		}
		l.add("roll", b)
		l.add("roll, bytes", m.Persona[:])
	}
	l.add("status", []byte(fmt.Sprintf("%x %x", c.id[:], c.daily.Persona[:])))
}

// addFiles takes every byte of the person's store on disk.
func (l *life) addFiles(t *testing.T) {
	t.Helper()
	n := 0
	err := filepath.WalkDir(l.dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		n++
		b, err := os.ReadFile(path)
		l.add("file "+d.Name(), b)
		return err
	})
	if err != nil || n < 3 {
		t.Fatalf("reading the store's %d files: %v", n, err)
	}
}

// addWire takes what hosts wrote on the wire.
func (l *life) addWire(tap *wiretap, hosts []string) (n int) {
	tap.mu.Lock()
	defer tap.mu.Unlock()
	for _, id := range hosts {
		for _, b := range tap.writes[id] {
			n += len(b)
			l.add("wire", gossiped(b))
		}
	}
	return n
}
