package p2p

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
)

// A Peer is how to reach a transport peer.
type Peer struct {
	ID        string
	Addrs     []string  // multiaddrs without /p2p, at most 8
	Bootstrap bool      // named by an invite or the user, and by no member's binding: never given up
	LastSeen  time.Time // zero if never
}

// PeerStatus tells what the node knows of a peer.
type PeerStatus struct {
	ID        string
	Address   string // of the connection, or the first known
	Connected bool
	Direct    bool // connected without a relay
	LastSeen  time.Time
	LastSync  time.Time // end of the last session that this node began, without error
	Served    time.Time // end of the last session that the peer began; it may have exchanged nothing
}

// Redialling backs off from minDialInterval up to these, and never stops.
const (
	maxBackoff          = 5 * time.Minute
	maxBootstrapBackoff = time.Minute
)

// A book holds the peers known by address, and when to dial each next.
type book struct {
	mu    sync.Mutex
	peers map[peer.ID]*entry // guarded by mu; at most maxBook
}

type entry struct {
	addrs     []ma.Multiaddr
	bootstrap bool
	lastSeen  time.Time
	lastSync  time.Time
	served    time.Time
	syncDue   time.Time // when the next session may begin
	failures  int
	tried     time.Time // when it was dialled last
	next      time.Time // when it may be dialled
	dialling  bool
}

// parsePeer checks a Peer's form.
func parsePeer(p Peer) (peer.ID, []ma.Multiaddr, error) {
	id, err := peer.Decode(p.ID)
	if err != nil {
		return "", nil, fmt.Errorf("p2p: peer id: %w", err)
	}
	if len(p.Addrs) > maxAddrs {
		return "", nil, fmt.Errorf("p2p: peer: %w: %d addresses, the cap is %d", ErrTooBig, len(p.Addrs), maxAddrs)
	}
	var addrs []ma.Multiaddr
	for _, s := range p.Addrs {
		if len(s) > 256 {
			return "", nil, fmt.Errorf("p2p: peer: %w: an address of %d bytes", ErrTooBig, len(s))
		}
		a, err := ma.NewMultiaddr(s)
		if err != nil {
			return "", nil, fmt.Errorf("p2p: peer address: %w", err)
		}
		addrs = append(addrs, a)
	}
	return id, addrs, nil
}

// Pack returns the peer's id and addresses in their binary forms, for texts that
// must be short.
func (p Peer) Pack() (id []byte, addrs [][]byte, err error) {
	pid, list, err := parsePeer(p)
	if err != nil {
		return nil, nil, err
	}
	for _, a := range list {
		addrs = append(addrs, a.Bytes())
	}
	return []byte(pid), addrs, nil
}

// Unpack reads what [Peer.Pack] returns.
func Unpack(id []byte, addrs [][]byte) (Peer, error) {
	pid, err := peer.IDFromBytes(id)
	if err != nil {
		return Peer{}, fmt.Errorf("p2p: peer id: %w", err)
	}
	p := Peer{ID: pid.String()}
	for _, b := range addrs {
		a, err := ma.NewMultiaddrBytes(b)
		if err != nil {
			return Peer{}, fmt.Errorf("p2p: peer address: %w", err)
		}
		p.Addrs = append(p.Addrs, a.String())
	}
	_, _, err = parsePeer(p)
	return p, err
}

// put adds a peer or renews its addresses. A full book gives up the entry that
// was seen longest ago, bootstraps last.
func (b *book) put(p Peer) error {
	id, addrs, err := parsePeer(p)
	if err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	e := b.entry(id)
	if !slices.EqualFunc(e.addrs, addrs, ma.Multiaddr.Equal) {
		e.addrs, e.next = addrs, worthATry(e.next, e.tried)
	}
	e.bootstrap = e.bootstrap || p.Bootstrap
	if p.LastSeen.After(e.lastSeen) {
		e.lastSeen = p.LastSeen
	}
	return nil
}

// entry is a peer's, made if it has none. The caller holds b.mu.
func (b *book) entry(id peer.ID) *entry {
	e := b.peers[id]
	if e == nil {
		if len(b.peers) >= maxBook {
			b.evict()
		}
		e = &entry{}
		b.peers[id] = e
	}
	return e
}

// evict makes room for one. The caller holds b.mu.
func (b *book) evict() {
	var worst peer.ID
	for id, e := range b.peers {
		w := b.peers[worst]
		if w == nil || (w.bootstrap && !e.bootstrap) || (w.bootstrap == e.bootstrap && e.lastSeen.Before(w.lastSeen)) {
			worst = id
		}
	}
	delete(b.peers, worst)
}

// lastSync is when a session that this node began last ended well.
func (b *book) lastSync() (last time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, e := range b.peers {
		if e.lastSync.After(last) {
			last = e.lastSync
		}
	}
	return last
}

// keep drops every peer that f does not want.
func (b *book) keep(f func(peer.ID) bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for id := range b.peers {
		if !f(id) {
			delete(b.peers, id)
		}
	}
}

// holds reports whether a peer is in the book.
func (b *book) holds(id peer.ID) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.peers[id] != nil
}

// note changes what is known of a peer, if it is in the book.
func (b *book) note(id peer.ID, f func(*entry)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if e := b.peers[id]; e != nil {
		f(e)
	}
}

// seen records that a peer is connected or was until now, adding it if unknown.
func (b *book) seen(id peer.ID, addr ma.Multiaddr, dialled bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	e := b.entry(id)
	if len(e.addrs) == 0 && dialled { // an inbound connection's port is not for dialling
		e.addrs = []ma.Multiaddr{addr}
	}
	e.lastSeen, e.failures = time.Now(), 0
}

// A candidate is a peer to dial.
type candidate struct {
	id    peer.ID
	addrs []ma.Multiaddr
}

// pick marks up to n peers as being dialled and returns them: bootstraps that
// are due always, then of the others alternately the one seen last and any one.
// next is when another will be due; zero if none ever.
func (b *book) pick(n int, connected func(peer.ID) bool) (due []candidate, next time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	var boots, rest []peer.ID
	for id, e := range b.peers {
		switch {
		case e.dialling || len(e.addrs) == 0 || connected(id):
		case e.next.After(now):
			if next.IsZero() || e.next.Before(next) {
				next = e.next
			}
		case e.bootstrap:
			boots = append(boots, id)
		default:
			rest = append(rest, id)
		}
	}
	slices.SortFunc(rest, func(x, y peer.ID) int { return b.peers[y].lastSeen.Compare(b.peers[x].lastSeen) })
	for i := 1; i < len(rest)-1; i += 2 {
		j := i + rand.IntN(len(rest)-i)
		rest[i], rest[j] = rest[j], rest[i]
	}
	order := append(boots, rest[:min(len(rest), max(0, n-len(boots)))]...)
	for _, id := range order {
		b.peers[id].dialling, b.peers[id].tried = true, now
		due = append(due, candidate{id, b.peers[id].addrs})
	}
	return due, next
}

// dialled records a dial's outcome and sets when the next may come.
func (b *book) dialled(id peer.ID, err error) {
	b.note(id, func(e *entry) {
		e.dialling = false
		if err == nil {
			e.failures = 0
			e.next = time.Now().Add(jitter(minDialInterval))
			return
		}
		limit := maxBackoff
		if e.bootstrap {
			limit = maxBootstrapBackoff
		}
		d := min(limit, minDialInterval<<min(e.failures, 16))
		e.failures++
		e.next = time.Now().Add(jitter(d))
	})
}

// worthATry is when one who is not to be dialled before next may be dialled since
// there is news of its addresses. Anybody can make news, also of others'
// addresses: so a minute after the last time, and waits go on to grow.
func worthATry(next, tried time.Time) time.Time {
	if soon := tried.Add(newsInterval); soon.Before(next) {
		return soon
	}
	return next
}

// jitter returns d shortened or stretched by up to a third.
func jitter(d time.Duration) time.Duration {
	return d*2/3 + rand.N(d*2/3+1)
}
