package node

import (
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/checkpoint"
	"github.com/metastate-p2p/metastate/protocol/state"
)

// Bounds on what waits, in bytes.
const (
	maxPending = 64 << 20
	maxChunks  = 4 << 20
)

// A pool holds verified records until what they wait for is held. It is
// bounded: when it is full the oldest goes, and sync brings it again. Its owner
// locks.
type pool struct {
	records map[protocol.ID]*protocol.Record
	waiters map[protocol.ID][]protocol.ID // what is missing → who waits for it
	heights []protocol.ID                 // who waits for a later checkpoint
	order   []protocol.ID                 // by arrival; some may be gone
	size    int
}

func (p *pool) add(r *protocol.Record, missing *state.Missing) {
	if p.records == nil {
		p.records, p.waiters = map[protocol.ID]*protocol.Record{}, map[protocol.ID][]protocol.ID{}
	}
	if _, ok := p.records[r.ID()]; !ok {
		p.order = append(p.order, r.ID())
		p.size += len(r.Inner())
	}
	p.records[r.ID()] = r
	if missing.Checkpoint != 0 {
		p.heights = append(p.heights, r.ID())
	}
	for _, id := range missing.Records {
		p.waiters[id] = append(p.waiters[id], r.ID())
	}
	for p.size > maxPending && len(p.order) > 0 {
		oldest := p.order[0]
		p.order = p.order[1:]
		p.remove(oldest)
	}
}

// release takes out what waited for a record.
func (p *pool) release(id protocol.ID) []*protocol.Record {
	ids := p.waiters[id]
	delete(p.waiters, id)
	return p.takeOut(ids)
}

// releaseHeight takes out what waited for a checkpoint.
func (p *pool) releaseHeight() []*protocol.Record {
	ids := p.heights
	p.heights = nil
	return p.takeOut(ids)
}

func (p *pool) takeOut(ids []protocol.ID) (out []*protocol.Record) {
	for _, id := range ids {
		if r, ok := p.records[id]; ok {
			p.remove(id)
			out = append(out, r)
		}
	}
	return out
}

func (p *pool) remove(id protocol.ID) {
	if r, ok := p.records[id]; ok {
		p.size -= len(r.Inner())
		delete(p.records, id)
	}
	if len(p.records) == 0 { // nobody waits: drop stale entries
		p.waiters, p.heights, p.order = map[protocol.ID][]protocol.ID{}, nil, nil
	}
}

// A chunkCache holds lists of ids until a certificate that names them is
// stored. It is bounded, the oldest goes first. Its owner locks.
type chunkCache struct {
	chunks map[protocol.ID][]byte
	order  []protocol.ID
	size   int
}

// add keeps a well-formed chunk.
func (c *chunkCache) add(b []byte) error {
	if _, err := checkpoint.ParseChunk(b); err != nil {
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
	c.order = append(c.order, id)
	c.size += len(b)
	for c.size > maxChunks {
		old := c.order[0]
		c.order = c.order[1:]
		c.size -= len(c.chunks[old])
		delete(c.chunks, old)
	}
	return nil
}
