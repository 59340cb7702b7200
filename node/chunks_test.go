package node

import (
	"encoding/binary"
	"testing"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/certificate"
)

func chunkOf(t *testing.T, n uint64) []byte {
	t.Helper()
	ids := make([]protocol.ID, certificate.MaxChunk)
	for i := range ids {
		binary.BigEndian.PutUint64(ids[i][:], n)
		binary.BigEndian.PutUint64(ids[i][8:], uint64(i))
	}
	list, err := certificate.SplitChunks(ids)
	if err != nil || len(list) != 1 {
		t.Fatal(err, len(list))
	}
	return list[0]
}

// What a clerk's value names stays for its height, whatever other members send;
// what nobody names is bounded, and so is what is left of a height.
func TestNamedChunksStay(t *testing.T) {
	var c chunkCache
	early, late := chunkOf(t, 1), chunkOf(t, 2)
	if err := c.add(early); err != nil { // before the value that names it
		t.Fatal(err)
	}
	c.name(certificate.Value{
		Control:  certificate.Control{Chunks: []protocol.ID{protocol.Sum(early)}},
		Subjects: []certificate.Subject{{Chunks: []protocol.ID{protocol.Sum(late)}}},
	})
	if err := c.add(late); err != nil {
		t.Fatal(err)
	}
	for n := range uint64(1000) {
		if err := c.add(chunkOf(t, 10+n)); err != nil {
			t.Fatal(err)
		}
	}
	bytes := 0
	for _, b := range c.chunks {
		bytes += len(b)
	}
	if c.chunks[protocol.Sum(early)] == nil || c.chunks[protocol.Sum(late)] == nil || bytes > maxChunks+2*len(late) {
		t.Errorf("a flood took what a value names, or %d bytes are held", bytes)
	}
	c.over()
	for n := range uint64(1000) {
		if err := c.add(chunkOf(t, 2000+n)); err != nil {
			t.Fatal(err)
		}
	}
	held := 0
	for _, b := range c.chunks {
		held += len(b)
	}
	if c.chunks[protocol.Sum(early)] != nil || held > maxChunks || held < maxChunks/2 || len(c.named) != 0 {
		t.Errorf("%d bytes are held after the height", held)
	}
}
