package merkle

import "iter"

// None is the value of every entry of a [Set]: the empty string (rule 2).
type None struct{}

// AppendLeaf returns b as it is.
func (None) AppendLeaf(b []byte) []byte { return b }

// Set is an immutable authenticated set of 32-byte keys, with all that is
// said of [Map]. The zero Set is empty.
type Set struct {
	m Map[None]
}

// SetFromSorted builds a set in one pass from strictly ascending keys; others
// give an error wrapping [ErrUnsorted].
func SetFromSorted(keys iter.Seq[[32]byte]) (Set, error) {
	m, err := FromSorted(func(yield func([32]byte, None) bool) {
		for key := range keys {
			if !yield(key, None{}) {
				return
			}
		}
	})
	return Set{m}, err
}

// Len returns the number of keys.
func (s Set) Len() int { return s.m.Len() }

// Has reports whether key is in s.
func (s Set) Has(key [32]byte) bool { return s.m.Has(key) }

// Add returns s with key in it; s itself if it is in it already.
func (s Set) Add(key [32]byte) Set {
	if s.m.Has(key) {
		return s
	}
	return Set{s.m.Put(key, None{})}
}

// Delete returns s without key; s itself if it isn't in it.
func (s Set) Delete(key [32]byte) Set { return Set{s.m.Delete(key)} }

// All yields the keys in ascending order.
func (s Set) All() iter.Seq[[32]byte] { return keys(s.m.All()) }

// From yields the keys that are start or greater, in ascending order.
func (s Set) From(start [32]byte) iter.Seq[[32]byte] { return keys(s.m.From(start)) }

// Under yields the keys that share their first n bits with prefix, in
// ascending order.
func (s Set) Under(prefix [32]byte, n int) iter.Seq[[32]byte] { return keys(s.m.Under(prefix, n)) }

// lanes is how many paths Nearest goes down at once. What a path costs in a large
// set is to wait for memory, which has several requests under way at a time.
const lanes = 8

// Nearest returns, for each of some keys, one of s that shares the longest prefix
// with it; nil if s is empty. Many at once cost a fraction of one by one.
func (s Set) Nearest(keys [][32]byte) [][32]byte {
	if s.m.root == nil {
		return nil
	}
	out := make([][32]byte, len(keys))
	for from := 0; from < len(keys); from += lanes {
		part := keys[from:min(from+lanes, len(keys))]
		var at [lanes]*node[None]
		for i := range part {
			at[i] = s.m.root
		}
		for inner := true; inner; {
			inner = false
			for i := range part {
				if n := at[i]; !n.isLeaf() {
					at[i], inner = n.kidOf(&part[i]), true
				}
			}
		}
		for i := range part {
			out[from+i] = at[i].hash
		}
	}
	return out
}

// Root returns the digest of all keys (rule 6).
func (s Set) Root() [32]byte { return s.m.Root() }

// Range returns the digest and number of the keys that share their first n
// bits with prefix, as [Map.Range] does.
func (s Set) Range(prefix [32]byte, n int) (digest [32]byte, count int) {
	return s.m.Range(prefix, n)
}

// Prove returns a proof that key is in s, or that it is not. [VerifyPresent]
// takes it with an empty value.
func (s Set) Prove(key [32]byte) Proof { return s.m.Prove(key) }

func keys(entries iter.Seq2[[32]byte, None]) iter.Seq[[32]byte] {
	return func(yield func([32]byte) bool) {
		for key := range entries {
			if !yield(key) {
				return
			}
		}
	}
}
