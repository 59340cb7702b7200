package merkle

import (
	"crypto/sha256"
	"encoding/binary"
)

// Tags that keep the preimages of leaves and inner nodes apart (rules 4, 5).
// Canonical DAG-CBOR maps, from which ids are made, begin with neither.
const (
	tagLeaf  = 0x00
	tagInner = 0x01
)

// Root returns the digest of all entries (rule 6). The first call on a new
// version hashes what changed; later calls read the result.
func (m Map[V]) Root() [32]byte {
	var scratch []byte
	return m.root.sum(&scratch)
}

// Range returns the digest and number of the entries whose keys share their
// first n bits with prefix; its other bits don't matter. n below 0 means 0,
// above 256 means 256. The digest equals the root of a map of just those
// entries, so two nodes hold the same entries there if their digests agree.
// The count is this map's own: no digest commits to it.
func (m Map[V]) Range(prefix [32]byte, n int) (digest [32]byte, count int) {
	var scratch []byte
	l := m.root.under(&prefix, n)
	return l.sum(&scratch), l.len()
}

// under returns the subtree of exactly the keys that share n bits with prefix.
func (l link[V]) under(prefix *[32]byte, n int) link[V] {
	n = min(n, KeyBits)
	for l.inner != nil && int(l.inner.bit) < n {
		l = l.inner.kids[bitAt(prefix, int(l.inner.bit))]
	}
	// All keys of l agree in their first n bits, so any one speaks for all.
	if near := l.nearest(prefix); near == nil || criticalBit(&near.key, prefix) < n {
		return link[V]{}
	}
	return l
}

// sum returns l's digest. scratch is a buffer for values' encodings, grown as
// needed and reused; l's depth, and so the recursion, is at most KeyBits.
func (l link[V]) sum(scratch *[]byte) [32]byte {
	switch {
	case l.leaf != nil:
		return l.leaf.sum(scratch)
	case l.inner == nil:
		return [32]byte{}
	}
	n := l.inner
	if n.filled.Load() == filledIn {
		return n.digest
	}
	left, right := n.kids[0].sum(scratch), n.kids[1].sum(scratch)
	digest := sumInner(int(n.bit), left, right)
	if n.filled.CompareAndSwap(unfilled, filling) {
		n.digest = digest
		n.filled.Store(filledIn)
	}
	return digest
}

func (l *leaf[V]) sum(scratch *[]byte) [32]byte {
	return sumLeaf(l.key, l.sumValue(scratch))
}

func (l *leaf[V]) sumValue(scratch *[]byte) [32]byte {
	*scratch = l.val.AppendLeaf((*scratch)[:0])
	return sumValue(*scratch)
}

// sumOfNothing is SHA-256 of the empty string, the value of every set entry.
var sumOfNothing = sha256.Sum256(nil)

func sumValue(encoded []byte) [32]byte {
	if len(encoded) == 0 {
		return sumOfNothing
	}
	return sha256.Sum256(encoded)
}

func sumLeaf(key, value [32]byte) [32]byte {
	var b [1 + 32 + 32]byte
	b[0] = tagLeaf
	copy(b[1:], key[:])
	copy(b[33:], value[:])
	return sha256.Sum256(b[:])
}

func sumInner(crit int, left, right [32]byte) [32]byte {
	var b [1 + 2 + 32 + 32]byte
	b[0] = tagInner
	binary.BigEndian.PutUint16(b[1:], uint16(crit))
	copy(b[3:], left[:])
	copy(b[35:], right[:])
	return sha256.Sum256(b[:])
}
