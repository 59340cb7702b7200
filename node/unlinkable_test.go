package node

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"iter"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	libnet "github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/muxer/yamux"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/identity/vault"
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

const testPassphrase = "correct horse battery staple"

// createVault makes a folder with a cheap vault and new keys.
func createVault(dir string) error {
	keys := &vault.Contents{Entropy: identity.GenerateEntropy()}
	defer keys.Wipe()
	return vault.Create(VaultPath(dir), []byte(testPassphrase), keys, vault.Params{MemoryKiB: vault.MinMemoryKiB, Passes: 1, Lanes: 1})
}

func folderConfig(dir string) Config {
	return Config{
		Dir: dir, Listen: []string{"/ip4/127.0.0.1/tcp/0"},
		Passphrase: func() ([]byte, error) { return []byte(testPassphrase), nil },
	}
}

func openFolder(t *testing.T, tap *wiretap) *Node {
	t.Helper()
	cfg := folderConfig(newFolder(t))
	cfg.underlay = tap.underlay
	return mustOpen(t, cfg)
}

func mustOpen(t testing.TB, cfg Config) *Node {
	t.Helper()
	n, err := Open(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	return n
}

// await waits for a condition on a community, looked at after every change.
func await(t testing.TB, c *Community, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for changed := c.Changed(); !ok(); changed = c.Changed() {
		select {
		case <-changed:
		case <-ctx.Done():
			t.Fatalf("waited in vain: %s; status %+v", what, c.Status())
		}
	}
}

func isMember(c *Community) func() bool {
	return func() bool { return c.Status().Standing == "member" }
}

// enterBy joins a node by an invite made at from.
func enterBy(t testing.TB, n *Node, from *Community, name string) (*Community, string) {
	t.Helper()
	inv, err := from.CreateInvite(t.Context(), InviteRequest{})
	if err != nil {
		t.Fatal(err)
	}
	m, err := n.Join(t.Context(), JoinRequest{Link: inv.Link, As: name})
	if err != nil {
		t.Fatal(err)
	}
	c := n.lookup(m.Metastate)
	await(t, c, name+" is a member", isMember(c))
	return c, inv.Link
}

func foundAs(t testing.TB, n *Node, name, as string) *Community {
	t.Helper()
	m, err := n.Found(t.Context(), FoundRequest{Name: name, As: as})
	if err != nil {
		t.Fatal(err)
	}
	return n.lookup(m.Metastate)
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

// gossiped leaves out the three nested lengths that begin a gossip message.
// They follow from how many records a message happens to carry.
func gossiped(b []byte) []byte {
	rest, size := b, uint64(0)
	for i := range 3 {
		if i > 0 {
			if len(rest) == 0 || rest[0] != 0x12 {
				return b
			}
			rest = rest[1:]
		}
		n, k := binary.Uvarint(rest)
		if k <= 0 || i == 0 && n != uint64(len(rest)-k) || i > 0 && n >= size {
			return b
		}
		rest, size = rest[k:], n
	}
	return rest
}

// A wiretap makes hosts on TCP, and copies what they write to streams.
type wiretap struct {
	mu     sync.Mutex
	writes map[string][][]byte // guarded by mu: by local peer id
}

func (w *wiretap) underlay(needs ...libp2p.Option) (host.Host, error) {
	return libp2p.New(append(needs, libp2p.ListenAddrStrings("/ip4/127.0.0.1/tcp/0"),
		libp2p.Transport(tcp.NewTCPTransport), libp2p.Security(noise.ID, noise.New), libp2p.Muxer(yamux.ID, tapMuxer{w}))...)
}

type tapMuxer struct{ tap *wiretap }

func (m tapMuxer) NewConn(c net.Conn, server bool, scope libnet.PeerScope) (libnet.MuxedConn, error) {
	local, ok := c.(interface{ LocalPeer() peer.ID })
	if !ok {
		return nil, fmt.Errorf("%T has no local peer", c)
	}
	mc, err := yamux.DefaultTransport.NewConn(c, server, scope)
	return tapConn{mc, m.tap, local.LocalPeer().String()}, err
}

type tapConn struct {
	libnet.MuxedConn
	tap   *wiretap
	local string
}

func (c tapConn) wrap(s libnet.MuxedStream, err error) (libnet.MuxedStream, error) {
	if err != nil {
		return nil, err
	}
	return tapStream{s, c}, nil
}

func (c tapConn) OpenStream(ctx context.Context) (libnet.MuxedStream, error) {
	return c.wrap(c.MuxedConn.OpenStream(ctx))
}

func (c tapConn) AcceptStream() (libnet.MuxedStream, error) {
	return c.wrap(c.MuxedConn.AcceptStream())
}

type tapStream struct {
	libnet.MuxedStream
	conn tapConn
}

func (s tapStream) Write(b []byte) (int, error) {
	s.conn.tap.mu.Lock()
	s.conn.tap.writes[s.conn.local] = append(s.conn.tap.writes[s.conn.local], bytes.Clone(b))
	s.conn.tap.mu.Unlock()
	return s.MuxedStream.Write(b)
}
