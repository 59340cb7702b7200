package reconcile

import (
	"encoding/binary"
	"fmt"
	"slices"
)

// onSplit compares the parts of a range with the initiator's own and asks on
// about those that differ.
func (i *Initiator) onSplit(src source, a ask, got split) error {
	own, err := src.parts(i.salt, a.prefix)
	if err != nil {
		return err
	}
	var sum uint64
	for n, p := range own {
		theirs := part{short(got.Shorts[n*shortSize:]), got.Counts[n]}
		if theirs.count > maxCount {
			return malformed("a count of %d", theirs.count)
		}
		sum += theirs.count
		if p == theirs {
			continue
		}
		part := ask{set: a.set, prefix: a.prefix.child(n), count: theirs.count}
		if err := i.descend(src, part, p.count); err != nil {
			return err
		}
	}
	if a.count != unknown && sum != a.count {
		return malformed("a range of %d has parts of %d", a.count, sum)
	}
	return nil
}

// descend queues the question that is due about a range that differs, where
// the initiator has own ids and the responder a.count.
func (i *Initiator) descend(src source, a ask, own uint64) error {
	listMax := uint64(ListMax)
	if a.set == nil {
		listMax = namesMax
	}
	switch {
	case a.count == 0 && a.set == nil:
		for name := range i.local.Index.Under(a.prefix.key, a.prefix.bits()) {
			if err := i.compareSet(name, 0); err != nil {
				return err
			}
		}
		return nil
	case a.count == 0:
		return i.haveExcept(src.set, a, nil)
	case a.count > listMax && a.prefix.depth == maxDepth:
		return malformed("%d entries with one id", a.count)
	case a.count > listMax:
		a.op = opSplit
	case own == 0 && a.set != nil:
		a.op = opFull
	default:
		a.op = opList
	}
	i.todo = append(i.todo, a)
	return nil
}

// onNames compares a list of the responder's index with the initiator's own.
func (i *Initiator) onNames(a ask, got []byte) error {
	if a.count == unknown && len(got) == 0 { // too many, or none
		i.todo = append(i.todo, ask{op: opSplit, count: unknown})
		return nil
	}
	if a.count == unknown {
		a.count = min(uint64(len(got)/entrySize), namesMax)
	}
	if uint64(len(got)) != a.count*entrySize {
		return malformed("%d bytes list %d names", len(got), a.count)
	}
	var last *[32]byte
	listed := make(map[[32]byte]bool, a.count)
	for e := range slices.Chunk(got, entrySize) {
		name := [32]byte(e)
		if !a.prefix.covers(name) || (last != nil && compareIDs(*last, name) >= 0) {
			return malformed("a name out of its range or order")
		}
		last, listed[name] = &name, true
		own, _ := i.local.Index.Get(name)
		theirs := part{short(e[32:]), binary.BigEndian.Uint64(e[32+shortSize:])}
		if theirs.count > maxCount {
			return malformed("a count of %d", theirs.count)
		}
		if theirs == (part{i.salt.short(own.Digest), own.Count}) {
			continue
		}
		if err := i.compareSet(name, theirs.count); err != nil {
			return err
		}
	}
	for name := range i.local.Index.Under(a.prefix.key, a.prefix.bits()) {
		if !listed[name] {
			if err := i.compareSet(name, 0); err != nil {
				return err
			}
		}
	}
	return nil
}

// compareSet starts on a set that differs, of which the responder has count.
func (i *Initiator) compareSet(name [32]byte, count uint64) error {
	src, err := i.local.source(name[:])
	if err != nil {
		return err
	}
	own, _ := i.local.Index.Get(name)
	a := ask{set: &name, count: count}
	if begun, err := i.sketch(src, a, own.Count); begun || err != nil {
		return err
	}
	return i.descend(src, a, own.Count)
}

// onList compares the fingerprints of the ids of a range.
func (i *Initiator) onList(set Set, a ask, got []byte) error {
	if uint64(len(got)) != a.count*shortSize {
		return malformed("%d bytes list %d ids", len(got), a.count)
	}
	theirs := make(map[short]bool, a.count)
	for f := range slices.Chunk(got, shortSize) {
		theirs[short(f)] = true
	}
	if uint64(len(theirs)) != a.count {
		return malformed("an id is listed twice")
	}
	if err := i.haveExcept(set, a, theirs); err != nil {
		return err
	}
	if len(theirs) == 0 {
		return nil
	}
	a.op = opResolve
	for f := range slices.Chunk(got, shortSize) {
		if theirs[short(f)] {
			a.shorts = append(a.shorts, short(f))
		}
	}
	i.todo = append(i.todo, a)
	return nil
}

// haveExcept records the initiator's ids of a range as ones the responder
// lacks, but for those in theirs, which it takes out of there.
func (i *Initiator) haveExcept(set Set, a ask, theirs map[short]bool) error {
	for id, err := range set.Under(a.prefix.key, a.prefix.bits()) {
		if err != nil {
			return fmt.Errorf("reconcile: reading a set: %w", err)
		}
		if len(theirs) > 0 {
			if f := i.salt.short(id); theirs[f] {
				delete(theirs, f)
				continue
			}
		}
		if i.full() { // there may be any number where the responder has none
			return nil
		}
		d := i.diff(*a.set, 1)
		d.Have = append(d.Have, id)
	}
	return nil
}

// onFull takes in the ids of a range where the initiator has none.
func (i *Initiator) onFull(a ask, got []byte) error {
	if uint64(len(got)) != a.count*32 {
		return malformed("%d bytes for %d ids", len(got), a.count)
	}
	var ids [][32]byte
	for b := range slices.Chunk(got, 32) {
		id := [32]byte(b)
		if !a.prefix.covers(id) || (len(ids) > 0 && compareIDs(ids[len(ids)-1], id) >= 0) {
			return malformed("an id out of its range or order")
		}
		ids = append(ids, id)
	}
	i.need(*a.set, ids...)
	return nil
}

// onResolve takes in the ids of fingerprints listed before.
func (i *Initiator) onResolve(a ask, got []byte) error {
	if len(got) != len(a.shorts)*32 {
		return malformed("%d bytes for %d ids", len(got), len(a.shorts))
	}
	var ids [][32]byte
	for b := range slices.Chunk(got, 32) {
		id := [32]byte(b)
		if !a.prefix.covers(id) || i.salt.short(id) != a.shorts[len(ids)] {
			return malformed("an id that is not the one listed")
		}
		ids = append(ids, id)
	}
	i.need(*a.set, ids...)
	return nil
}
