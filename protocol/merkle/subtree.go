package merkle

// A subtree is one of the binary tree that nodes hold in pairs of levels: a
// whole node, or a side of one that forks. The zero subtree is nothing.
type subtree[V Value] struct {
	n  *node[V]
	at int // 0: the whole node; 1, 2: its left side, its right
}

func (m Map[V]) tree() subtree[V] { return subtree[V]{n: m.root} }

func (t subtree[V]) isLeaf() bool { return t.at == 0 && t.n.isLeaf() }

// bit is the critical bit of an inner node.
func (t subtree[V]) bit() int { return int(t.n.bit(t.at)) }

// side is the left part of an inner node at 0, the right one at 1.
func (t subtree[V]) side(i int) subtree[V] {
	switch {
	case t.at > 0:
		return subtree[V]{n: t.n.kids[2*(t.at-1)+i]}
	case t.n.forks(i):
		return subtree[V]{t.n, i + 1}
	}
	return subtree[V]{n: t.n.kids[2*i]}
}

func (t subtree[V]) len() int {
	if t.at == 0 {
		return t.n.len()
	}
	return t.side(0).len() + t.side(1).len()
}

// nearest returns a leaf of t at the end of key's path, nil if t is nothing.
func (t subtree[V]) nearest(key *[32]byte) *node[V] {
	if t.at > 0 {
		return t.side(bitAt(key, t.bit())).n.nearest(key)
	}
	return t.n.nearest(key)
}

// crit is the critical bit of t, KeyBits of a leaf.
func (t subtree[V]) crit() int {
	if t.isLeaf() {
		return KeyBits
	}
	return t.bit()
}

// any returns a leaf of t, which is something.
func (t subtree[V]) any() *node[V] {
	n := t.n
	if t.at > 0 {
		n = t.side(0).n
	}
	for !n.isLeaf() {
		n = n.kids[0]
	}
	return n
}

// same reports that t and u are one in memory, so that they hold the same. Where
// it reports false they may do so, too.
func (t subtree[V]) same(u subtree[V]) bool {
	switch {
	case t == u:
		return true
	case t.n == nil || u.n == nil || t.at == 0 || u.at == 0:
		return false
	}
	i, j := 2*(t.at-1), 2*(u.at-1)
	return t.n.kids[i] == u.n.kids[j] && t.n.kids[i+1] == u.n.kids[j+1]
}
