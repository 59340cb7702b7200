package node

import (
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/certificate"
)

const (
	maxChunks = 4 << 20 // bytes of lists that no value of a clerk names
	maxNamed  = 2048    // lists that values of one height name
)

// chunk is a list of ids, nil if it is not held. Caller holds mu.
func (l *ledger) chunk(id protocol.ID) []byte {
	if b, ok := l.chunks.chunks[id]; ok {
		return b
	}
	if b := l.storedChunk(id); b != nil || len(l.rivals) == 0 {
		return b
	}
	b, _ := l.store.Private(privDisputedList + id.String())
	return b
}

// chunksOf are the lists that an encoded value names, as far as held.
func (l *ledger) chunksOf(value []byte) (chunks [][]byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.namedChunks(value)
}

// namedChunks is chunksOf with mu held.
func (l *ledger) namedChunks(value []byte) (chunks [][]byte) {
	v, err := certificate.ParseValue(value)
	if err != nil {
		return nil
	}
	for id := range v.ChunkNames() {
		if b := l.chunk(id); b != nil {
			chunks = append(chunks, b)
		}
	}
	return chunks
}

// addChunk keeps a list of ids, and takes in certificates that waited for it.
func (l *ledger) addChunk(b []byte) error {
	l.mu.Lock()
	err := l.chunks.add(b)
	moved := err == nil && l.retry()
	if err == nil {
		err = l.fillIn()
	}
	l.mu.Unlock()
	if moved {
		l.changed()
	}
	return err
}

// A chunkCache holds lists of ids until a certificate that names them is
// stored. Those that a clerk's value names are kept for the height; others, which
// any member can send, are few, and the oldest goes first. Its owner locks.
type chunkCache struct {
	chunks map[protocol.ID][]byte
	named  map[protocol.ID]bool // by values of clerks
	order  []cachedChunk        // those not named when they came
	size   int                  // of those, in bytes
}

type cachedChunk struct {
	id   protocol.ID
	size int
}

// name has what a clerk's value names kept when it comes, or again.
func (c *chunkCache) name(v certificate.Value) {
	if c.named == nil {
		c.named = map[protocol.ID]bool{}
	}
	for id := range v.ChunkNames() {
		if len(c.named) < maxNamed {
			c.named[id] = true
		}
	}
}

// over forgets what a height's values named, once it is final.
func (c *chunkCache) over() {
	for id := range c.named {
		delete(c.chunks, id)
	}
	clear(c.named)
}

// add keeps a well-formed chunk.
func (c *chunkCache) add(b []byte) error {
	if _, err := certificate.ParseChunk(b); err != nil {
		return err
	}
	id := protocol.Sum(b)
	if _, ok := c.chunks[id]; ok {
		return nil
	}
	if c.chunks == nil {
		c.chunks = map[protocol.ID][]byte{}
	}
	c.chunks[id] = b
	if c.named[id] {
		return nil
	}
	c.order = append(c.order, cachedChunk{id, len(b)})
	c.size += len(b)
	for c.size > maxChunks {
		old := c.order[0]
		c.order = c.order[1:]
		c.size -= old.size
		if !c.named[old.id] {
			delete(c.chunks, old.id)
		}
	}
	return nil
}
