package p2p

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"sync"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/merkle"
	"github.com/metastate-p2p/metastate/protocol/reconcile"
)

// MemReplica is a minimal real replica: it seals and opens outer forms with the
// protocol's epochs, keys records by their ids in reconcile sets, takes
// certificates in order and bindings by content. A record's content is its set
// id and a body. It lies about nothing and knows no clock.
type MemReplica struct {
	under *protocol.Epoch // in a session
	*memory
}

type memory struct {
	mu       sync.Mutex
	secrets  [][32]byte
	heard    int // how many of the epochs have gossip; 0: as many as may
	epochs   []*protocol.Epoch
	known    map[string]bool
	shunned  map[string]bool
	binding  []byte
	refuse   map[string]bool
	sets     map[[32]byte]merkle.Set
	index    reconcile.Index
	sketches reconcile.Sketches
	records  map[protocol.ID][]byte // content
	certs    [][]byte
	parted   uint64 // how many of its certificates a peer on another branch may not share
	bindings map[string][]byte
	seen     int // frames delivered, fresh or not
	receipts int // how many it signs for one record, so to speak
	archive  archive
	onFresh  func(content []byte)
	onTake   func() // before frames are taken
	rest     []byte // its survey, while it is at rest
	woken    int    // calls while it was that a replica at rest should not get
	onCheck  func() // before one is judged
}

var _ Replica = (*MemReplica)(nil)

// NewMemReplica holds the epochs of secrets, newest first.
func NewMemReplica(binding string, secrets ...[32]byte) *MemReplica {
	r := &MemReplica{memory: &memory{
		known: map[string]bool{}, shunned: map[string]bool{}, refuse: map[string]bool{}, binding: []byte(binding),
		sets: map[[32]byte]merkle.Set{}, records: map[protocol.ID][]byte{}, bindings: map[string][]byte{},
	}}
	r.SetSecrets(secrets...)
	r.bindings[binding] = []byte(binding)
	return r
}

func (r *MemReplica) SetSecrets(secrets ...[32]byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.secrets, r.epochs = secrets, nil
	for _, s := range secrets {
		r.epochs = append(r.epochs, protocol.NewEpoch(s, true))
	}
}

// Hear has the newest n epochs gossip.
func (r *MemReplica) Hear(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.heard = n
}

func (r *MemReplica) Know(yes bool, ids ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, id := range ids {
		r.known[id] = yes
	}
}

func (r *MemReplica) RefuseBinding(b string) { r.refuse[b] = true }

func (r *MemReplica) OnFresh(f func([]byte)) { r.onFresh = f }

// OnTake calls f, without a lock, each time that frames come.
func (r *MemReplica) OnTake(f func()) { r.onTake = f }

// OnCheck calls f, without a lock, each time that a frame is judged.
func (r *MemReplica) OnCheck(f func()) { r.onCheck = f }

// Add makes a record of set and body and returns its frame.
func (r *MemReplica) Add(set protocol.ID, body string) []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	content := append(slices.Clone(set[:]), body...)
	r.add(content)
	return r.seals().Seal(protocol.ContentRecord, content)
}

func (r *MemReplica) add(content []byte) (fresh bool) {
	id, set := protocol.Sum(content), protocol.ID(content[:32])
	if _, ok := r.records[id]; ok {
		return false
	}
	r.records[id] = content
	s := r.sets[set].Add(id)
	r.sets[set] = s
	r.index = r.index.Put(set, reconcile.Summary{Set: set, Digest: s.Root(), Count: uint64(s.Len())})
	if r.onFresh != nil {
		r.onFresh(content)
	}
	return true
}

// AddCertificate appends the next one.
func (r *MemReplica) AddCertificate() {
	r.mu.Lock()
	defer r.mu.Unlock()
	h := uint64(len(r.certs) + 1)
	r.certs = append(r.certs, fmt.Appendf(binary.BigEndian.AppendUint64(nil, h), "certificate %d", h))
}

func (r *MemReplica) AddBinding(b string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.bindings[b] = []byte(b)
}

// Counts returns how many records, certificates and bindings are held.
func (r *MemReplica) Counts() [3]int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return [3]int{len(r.records), len(r.certs), len(r.bindings)}
}

func (r *MemReplica) Has(content string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.records {
		if string(c[32:]) == content {
			return true
		}
	}
	return false
}

func (r *MemReplica) Epochs() []Epoch {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []Epoch
	for i, s := range r.secrets {
		out = append(out, Epoch{Secret: s, Gossip: i < cmp.Or(r.heard, maxTopics)})
	}
	return out
}

func (r *MemReplica) Under(secret [32]byte) (Holdings, func(), error) {
	return r.in(secret), func() {}, nil
}

func (r *MemReplica) in(secret [32]byte) *MemReplica {
	return &MemReplica{under: protocol.NewEpoch(secret, true), memory: r.memory}
}

// seals is the epoch to seal under. The caller holds r.mu.
func (r *MemReplica) seals() *protocol.Epoch {
	if r.under != nil {
		return r.under
	}
	return r.epochs[0]
}

// opens are those to open with. The caller holds r.mu.
func (r *MemReplica) opens() []*protocol.Epoch {
	if r.under != nil {
		return []*protocol.Epoch{r.under}
	}
	return r.epochs
}

func (r *MemReplica) Shunned(p string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.shunned[p]
}

// Shun makes a peer one whose device is revoked.
func (r *MemReplica) Shun(p string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.shunned[p] = true
}

func (r *MemReplica) Known(p string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.known[p]
}

func (r *MemReplica) Binding() []byte { return r.binding }

func (r *MemReplica) CheckBinding(_ string, b []byte) error {
	if len(b) == 0 || r.refuse[string(b)] {
		return errors.New("binding of nobody")
	}
	return nil
}

func (r *MemReplica) Check(kind Kind, frame []byte) Verdict {
	if r.onCheck != nil {
		r.onCheck()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.epochs {
		err := e.Check(protocol.Content(kind), frame)
		if err == nil {
			return Accept
		}
		if !errors.Is(err, protocol.ErrOtherEpoch) {
			return Reject
		}
	}
	return Ignore
}

func (r *MemReplica) Deliver(_ context.Context, _ string, kind Kind, frames [][]byte) (fresh int, err error) {
	if r.onTake != nil {
		r.onTake()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.wake()
	for _, f := range frames {
		r.seen++
		content, err := r.open(kind, f)
		if err != nil {
			return fresh, fmt.Errorf("%w: %w", ErrPeer, err)
		}
		took, err := r.take(kind, content)
		if err != nil {
			return fresh, err
		}
		if took {
			fresh++
		}
	}
	return fresh, nil
}

// SignReceipts makes it a clerk that gives n receipts for a record.
func (r *MemReplica) SignReceipts(n int) { r.receipts = n }

func (r *MemReplica) Receipts(frames [][]byte) (out [][]byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, f := range frames {
		content, _ := r.open(Records, f)
		for range r.receipts {
			out = append(out, r.seals().Seal(protocol.ContentReceipt, content))
		}
	}
	return out
}

func (r *MemReplica) open(kind Kind, f []byte) (content []byte, err error) {
	if kind == Past {
		return r.archive.past(bytes.Clone(f))
	}
	for _, e := range r.opens() {
		if content, err = e.Open(protocol.Content(kind), f); err == nil {
			return bytes.Clone(content), nil
		}
	}
	return nil, err
}

func (r *MemReplica) take(kind Kind, content []byte) (bool, error) {
	switch kind {
	case Records, Past:
		if len(content) < 32 {
			return false, ErrPeer
		}
		return r.add(content), nil
	case Certificates:
		if len(content) < 8 {
			return false, ErrPeer
		}
		if binary.BigEndian.Uint64(content) == r.archive.gap && r.archive.gap > 0 {
			r.archive.gap--
			return true, nil
		}
		if h := binary.BigEndian.Uint64(content); h != uint64(len(r.certs)+1) || r.parted > 0 {
			return false, nil
		}
		r.certs = append(r.certs, content)
		return true, nil
	case Snapshots:
		return r.archive.take(content)
	case Bindings:
		_, had := r.bindings[string(content)]
		r.bindings[string(content)] = content
		return !had, nil
	}
	return false, nil
}

func (r *MemReplica) Wants() uint64 {
	height, _ := r.Tip()
	return height + 1 - r.parted
}

func (r *MemReplica) Tip() (height uint64, id [32]byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.wake()
	if n := len(r.certs); n > 0 {
		id = sha256.Sum256(r.certs[n-1])
	}
	return uint64(len(r.certs)), id
}

func (r *MemReplica) Snapshot() (reconcile.Local, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.wake()
	sets := maps.Clone(r.sets)
	return reconcile.Local{Index: r.index, Open: func(name [32]byte) (reconcile.Set, error) {
		return r.sketches.Of(name, sets[name]), nil
	}}, nil
}

// Rest has it count what wakes it.
func (r *MemReplica) Rest() {
	b, err := Survey(r)
	if err != nil {
		panic(err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rest, r.woken = b, 0
}

// Woken is how often it was asked for more than what it says at rest.
func (r *MemReplica) Woken() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.woken
}

func (r *MemReplica) Newcomer() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.rest == nil && len(r.certs) == 0
}

func (r *MemReplica) Resting([32]byte) []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.rest
}

// wake notes a call. Caller holds mu.
func (r *MemReplica) wake() {
	if r.rest != nil {
		r.rest = nil
		r.woken++
	}
}

func (r *MemReplica) Control() protocol.ID { return protocol.ID{} }

func (r *MemReplica) Records(ids []protocol.ID) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for _, id := range ids {
			r.mu.Lock()
			content, ok := r.records[id]
			e := r.seals()
			r.mu.Unlock()
			if ok && !yield(e.Seal(protocol.ContentRecord, content), nil) {
				return
			}
		}
	}
}

func (r *MemReplica) Certificates(from uint64) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		r.mu.Lock()
		certs, e := slices.Clone(r.certs), r.seals()
		r.mu.Unlock()
		for _, c := range certs[min(uint64(len(certs)), max(from, 1)-1):] {
			if !yield(e.Seal(protocol.ContentCheckpoint, c), nil) {
				return
			}
		}
	}
}

func (r *MemReplica) Bindings() [][]byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.wake()
	var out [][]byte
	for _, b := range r.bindings {
		out = append(out, r.seals().Seal(protocol.ContentBinding, b))
	}
	return out
}
