package store

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/metastate-p2p/metastate/protocol"
)

// Checkpoint is a certificate to store, with chunks its value names by hash.
type Checkpoint struct {
	Height uint64
	Cert   []byte
	Chunks [][]byte
}

// Certificate is a stored checkpoint; its chunks are read with Chunk.
type Certificate struct {
	Height uint64
	Cert   []byte
	Chunks []protocol.ID
}

// maxKey bounds a private key's name, in bytes.
const maxKey = 256

// meta is what the store knows of certificates and private values without
// asking Badger. digest is the XOR of rowSum over their rows.
type meta struct {
	mu      sync.RWMutex
	ops     uint64              // under mu: changes ever made
	digest  [32]byte            // under mu
	heights []uint64            // under mu: sorted
	private map[string][32]byte // under mu: rowSum by key
}

func (m *meta) init() { m.private = make(map[string][32]byte) }

func rowSum(r row) [32]byte {
	return sha256.Sum256(slices.Concat(binary.BigEndian.AppendUint32(nil, uint32(len(r.key))), r.key, r.value))
}

func xor(a, b [32]byte) [32]byte {
	for i := range a {
		a[i] ^= b[i]
	}
	return a
}

// metaChange is applied to meta once it is durable.
type metaChange struct {
	ops     uint64
	digest  [32]byte
	height  *uint64
	gone    []uint64             // heights withdrawn
	private map[string]*[32]byte // nil deletes
}

func (c *metaChange) apply(m *meta) {
	m.ops, m.digest = c.ops, c.digest
	m.heights = slices.DeleteFunc(m.heights, func(h uint64) bool { return slices.Contains(c.gone, h) })
	if c.height != nil {
		m.addHeight(*c.height)
	}
	for k, sum := range c.private {
		if sum == nil {
			delete(m.private, k)
		} else {
			m.private[k] = *sum
		}
	}
}

func (m *meta) addHeight(h uint64) {
	if i, ok := slices.BinarySearch(m.heights, h); !ok {
		m.heights = slices.Insert(m.heights, i, h)
	}
}

// planMeta adds a batch's certificate and private values to a plan. The caller
// holds meta.mu.
func (s *Store) planMeta(b Batch, p *plan) error {
	if b.Checkpoint == nil && b.above == nil && b.restore == nil && len(b.Private) == 0 {
		return nil
	}
	c := &metaChange{ops: s.meta.ops, digest: s.meta.digest, private: make(map[string]*[32]byte)}
	if b.above != nil {
		if err := s.planRewind(*b.above, c, p); err != nil {
			return err
		}
	}
	if cp := b.Checkpoint; cp != nil {
		cert := Certificate{Height: cp.Height, Cert: cp.Cert}
		for _, chunk := range cp.Chunks {
			cert.Chunks = append(cert.Chunks, protocol.Sum(chunk))
		}
		b.restore, b.chunks = &cert, cp.Chunks
	}
	if b.restore != nil {
		if err := s.planCheckpoint(*b.restore, b.chunks, c, p); err != nil {
			return err
		}
	}
	if err := s.planPrivate(b.Private, c, p); err != nil {
		return err
	}
	if c.ops == s.meta.ops {
		return nil // nothing new
	}
	size := 0
	for _, r := range p.last {
		size += len(r.key) + len(r.value)
	}
	if size > s.together() {
		return fmt.Errorf("store: certificate and private values of one batch: %d bytes: %w", size, ErrTooLarge)
	}
	p.meta = c
	v := append(be64(c.ops), c.digest[:]...)
	tag := s.rows.sum([]byte{rowVersion}, v)
	p.last = append(p.last, row{[]byte{rowVersion}, append(v, tag[:]...)})
	return nil
}

func (s *Store) planCheckpoint(cp Certificate, chunks [][]byte, c *metaChange, p *plan) error {
	for _, chunk := range chunks {
		if len(chunk) > MaxValue {
			return fmt.Errorf("store: chunk: %d bytes: %w", len(chunk), ErrTooLarge)
		}
		id := protocol.Sum(chunk)
		p.rows = append(p.rows, row{key(rowChunk, id[:]), append([]byte{}, chunk...)})
	}
	body := cp.body()
	if len(body) > MaxValue {
		return fmt.Errorf("store: certificate %d: %w", cp.Height, ErrTooLarge)
	}
	_, exists := slices.BinarySearch(s.meta.heights, cp.Height)
	r := s.certRow(cp.Height, body)
	if exists {
		old, err := s.certificateBody(cp.Height)
		switch {
		case err == nil && string(old) == string(body):
			return nil // chunks are stored again, which heals them
		case err == nil:
			return fmt.Errorf("store: certificate %d: %w", cp.Height, ErrConflict)
		case !isDamaged(err):
			return err
		}
		was, err := s.read(r.key)
		if err != nil || string(was) != string(r.value) {
			return fmt.Errorf("store: certificate %d: %w", cp.Height, ErrConflict)
		}
		p.last = append(p.last, row{key(rowBody, be64(cp.Height)), body})
		return nil // heals the damaged body
	}
	c.ops++
	c.digest = xor(c.digest, rowSum(r))
	c.height = &cp.Height
	p.last = append(p.last, r, row{key(rowBody, be64(cp.Height)), body})
	return nil
}

// body is what a d row holds.
func (c Certificate) body() []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(len(c.Chunks)))
	for _, id := range c.Chunks {
		b = append(b, id[:]...)
	}
	return append(b, c.Cert...)
}

func parseBody(height uint64, b []byte) (Certificate, error) {
	if len(b) < 4 || uint64(binary.BigEndian.Uint32(b))*32 > uint64(len(b)-4) {
		return Certificate{}, damaged("certificate %d is unreadable", height)
	}
	c := Certificate{Height: height, Chunks: make([]protocol.ID, binary.BigEndian.Uint32(b))}
	b = b[4:]
	for i := range c.Chunks {
		c.Chunks[i], b = protocol.ID(b[:32]), b[32:]
	}
	c.Cert = b
	return c, nil
}

// certRow is the small row that proves what a certificate's body must be.
func (s *Store) certRow(height uint64, body []byte) row {
	k, sum := key(rowCert, be64(height)), sha256.Sum256(body)
	tag := s.rows.sum(k, sum[:])
	return row{k, append(sum[:], tag[:]...)}
}

func (s *Store) planPrivate(values map[string][]byte, c *metaChange, p *plan) error {
	for _, k := range slices.Sorted(maps.Keys(values)) {
		if k == "" || len(k) > maxKey || len(values[k]) > MaxValue {
			return fmt.Errorf("store: private value: key of %d, value of %d bytes: %w", len(k), len(values[k]), ErrTooLarge)
		}
		r := row{key: key(rowPrivate, []byte(k))}
		old, exists := s.meta.private[k]
		if values[k] == nil {
			if !exists {
				continue
			}
			c.private[k] = nil
		} else {
			tag := s.rows.sum(r.key, values[k])
			r.value = append(tag[:], values[k]...)
			sum := rowSum(r)
			c.private[k] = &sum
			c.digest = xor(c.digest, sum)
		}
		if exists {
			c.digest = xor(c.digest, old)
		}
		c.ops++
		p.last = append(p.last, r)
	}
	return nil
}

// loadMeta reads the certificates' and private values' rows and compares them
// with the version row, and that with the inventory, which may be one commit
// behind.
func (s *Store) loadMeta(want inventory) error {
	m := &s.meta
	err := s.scan([]byte{rowPrivate}, nil, func(k, v []byte) error {
		if len(v) < macSize || !s.rows.check(v[:macSize], k, v[macSize:]) {
			return damaged("a private value is unreadable")
		}
		sum := rowSum(row{k, v})
		m.private[string(k[1:])] = sum
		m.digest = xor(m.digest, sum)
		return nil
	})
	if err != nil {
		return err
	}
	err = s.scan([]byte{rowCert}, nil, func(k, v []byte) error {
		if len(k) != 9 || len(v) != 32+macSize || !s.rows.check(v[32:], k, v[:32]) {
			return damaged("a certificate's entry is unreadable")
		}
		m.heights = append(m.heights, binary.BigEndian.Uint64(k[1:]))
		m.digest = xor(m.digest, rowSum(row{k, v}))
		return nil
	})
	if err != nil {
		return err
	}
	var digest [32]byte
	v, err := s.read([]byte{rowVersion})
	switch {
	case errors.Is(err, ErrNotFound):
	case err != nil:
		return err
	case len(v) != 40+macSize || !s.rows.check(v[40:], []byte{rowVersion}, v[:40]):
		return damaged("the summary of private values is unreadable")
	default:
		m.ops, digest = binary.BigEndian.Uint64(v), [32]byte(v[8:40])
	}
	switch {
	case m.digest != digest:
		return damaged("certificates or private values are missing or old")
	case m.ops < want.ops, m.ops == want.ops && digest != want.digest, want.clean && m.ops != want.ops:
		return damaged("certificates or private values are %d changes behind", int64(want.ops-m.ops))
	}
	return nil
}

// PutCheckpoint stores a certificate and its chunks. The same certificate again
// is no error; another at its height is ErrConflict.
func (s *Store) PutCheckpoint(height uint64, cert []byte, chunks ...[]byte) error {
	return s.Commit(Batch{Checkpoint: &Checkpoint{Height: height, Cert: cert, Chunks: chunks}})
}

// Checkpoint returns the certificate of a height, ErrNotFound or a
// *DamagedError.
func (s *Store) Checkpoint(height uint64) (Certificate, error) {
	s.meta.mu.RLock()
	defer s.meta.mu.RUnlock()
	return s.certificate(height)
}

func (s *Store) certificate(height uint64) (Certificate, error) {
	if err := s.life.enter(); err != nil {
		return Certificate{}, wrap("reading", err)
	}
	defer s.life.leave()
	if _, ok := slices.BinarySearch(s.meta.heights, height); !ok {
		return Certificate{}, ErrNotFound
	}
	body, err := s.certificateBody(height)
	if err != nil {
		return Certificate{}, err
	}
	return parseBody(height, body)
}

func (s *Store) certificateBody(height uint64) (body []byte, err error) {
	defer recovered(&err)
	body, err = s.read(key(rowBody, be64(height)))
	if err == nil {
		r := s.certRow(height, body)
		var was []byte
		if was, err = s.read(r.key); err == nil && string(was) == string(r.value) {
			return body, nil
		}
	}
	if err == nil || errors.Is(err, ErrNotFound) || isDamaged(err) {
		return nil, damaged("certificate %d is missing or unreadable", height)
	}
	return nil, wrap("reading", err)
}

// Chunk returns a chunk by its hash, checked; ErrNotFound if it is not held, be
// it lost or never stored: the certificate that names it tells.
func (s *Store) Chunk(id protocol.ID) (chunk []byte, err error) {
	if err := s.life.enter(); err != nil {
		return nil, wrap("reading", err)
	}
	defer s.life.leave()
	defer recovered(&err)
	chunk, err = s.read(key(rowChunk, id[:]))
	if err != nil {
		return nil, err
	}
	if protocol.Sum(chunk) != id {
		return nil, damaged("chunk %s does not match its hash", id)
	}
	return chunk, nil
}

// together is how large a certificate and private values of one batch may be: one
// transaction takes them.
func (s *Store) together() int {
	maxBytes, _ := txnLimit(s.db)
	return max(MaxValue+1024, int(maxBytes)*3/4)
}

// PutPrivates stores values as PutPrivate does, and deletes those that are nil:
// in order of their keys, many at a time, and not all or none of them.
func (s *Store) PutPrivates(values map[string][]byte) error {
	batch, size := map[string][]byte{}, 0
	for _, k := range slices.Sorted(maps.Keys(values)) {
		cost := len(k) + len(values[k]) + 64
		if size+cost > s.together()-1024 && size > 0 {
			if err := s.Commit(Batch{Private: batch}); err != nil {
				return err
			}
			batch, size = map[string][]byte{}, 0
		}
		batch[k], size = values[k], size+cost
	}
	return s.Commit(Batch{Private: batch})
}

// PutPrivate stores a value of the node's own, at most MaxValue bytes under a
// key of at most 256. It is durable on return.
func (s *Store) PutPrivate(key string, value []byte) error {
	if value == nil {
		value = []byte{}
	}
	return s.Commit(Batch{Private: map[string][]byte{key: value}})
}

// DeletePrivate removes a private value, if there is one.
func (s *Store) DeletePrivate(key string) error {
	return s.Commit(Batch{Private: map[string][]byte{key: nil}})
}

// Private returns a private value, ErrNotFound or a *DamagedError.
func (s *Store) Private(name string) (value []byte, err error) {
	if err := s.life.enter(); err != nil {
		return nil, wrap("reading", err)
	}
	defer s.life.leave()
	s.meta.mu.RLock()
	defer s.meta.mu.RUnlock()
	want, ok := s.meta.private[name]
	if !ok {
		return nil, ErrNotFound
	}
	defer recovered(&err)
	k := key(rowPrivate, []byte(name))
	v, err := s.read(k)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return nil, wrap("reading", err)
	}
	if rowSum(row{k, v}) != want || len(v) < macSize {
		return nil, damaged("the private value %q is missing or unreadable", name)
	}
	return v[macSize:], nil
}

// PrivateKeys lists the keys of private values that begin with prefix, sorted.
func (s *Store) PrivateKeys(prefix string) []string {
	s.meta.mu.RLock()
	defer s.meta.mu.RUnlock()
	var keys []string
	for k := range s.meta.private {
		if strings.HasPrefix(k, prefix) {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	return keys
}
