package merkle

import "iter"

// Diff yields the keys that one of s and other has and the other lacks, in
// ascending order, with true for those that other has. Where one set was made
// from the other it costs O(changes · depth), as what they share is passed over.
func (s Set) Diff(other Set) iter.Seq2[[32]byte, bool] {
	return func(yield func([32]byte, bool) bool) {
		d := differ{yield: yield}
		d.visit(s.m.tree(), other.m.tree())
	}
}

// differ walks two versions at once. Its methods report whether more is wanted.
type differ struct {
	yield  func([32]byte, bool) bool
	visits int // pairs of subtrees that were looked into
}

func (d *differ) visit(old, now subtree[None]) bool {
	switch {
	case old.same(now):
		return true
	case old.n == nil || now.n == nil:
		return d.whole(old, false) && d.whole(now, true)
	}
	d.visits++
	// Subtrees that share a part of the same side have the same keys there, so
	// that both agree as far as their common critical bit says.
	if bit := old.crit(); bit < KeyBits && bit == now.crit() {
		left, right := old.side(0).same(now.side(0)), old.side(1).same(now.side(1))
		switch {
		case left && right:
			return true
		case left:
			return d.visit(old.side(1), now.side(1))
		case right:
			return d.visit(old.side(0), now.side(0))
		}
	}
	return d.unrelated(old, now)
}

// unrelated visits two subtrees that need not have any prefix in common.
func (d *differ) unrelated(old, now subtree[None]) bool {
	a := old.any().hash
	b := now.nearest(&a).hash
	apart := criticalBit(&a, &b)
	switch crits := [2]int{old.crit(), now.crit()}; {
	case apart < min(crits[0], crits[1]): // no key of one is in the other's range
		if bitAt(&a, apart) == 0 {
			return d.whole(old, false) && d.whole(now, true)
		}
		return d.whole(now, true) && d.whole(old, false)
	case crits[0] == KeyBits && crits[1] == KeyBits:
		return true // one key in two leaves
	case crits[0] == crits[1]:
		return d.visit(old.side(0), now.side(0)) && d.visit(old.side(1), now.side(1))
	case crits[0] < crits[1]: // now is all on one side of old
		if bitAt(&b, crits[0]) == 0 {
			return d.visit(old.side(0), now) && d.whole(old.side(1), false)
		}
		return d.whole(old.side(0), false) && d.visit(old.side(1), now)
	}
	if bitAt(&a, now.crit()) == 0 {
		return d.visit(old, now.side(0)) && d.whole(now.side(1), true)
	}
	return d.whole(now.side(0), true) && d.visit(old, now.side(1))
}

// whole yields all keys of t.
func (d *differ) whole(t subtree[None], has bool) bool {
	return t.each(func(key [32]byte, _ None) bool { return d.yield(key, has) })
}
