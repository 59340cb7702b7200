package blt

import (
	"bytes"
	"hash/maphash"

	"github.com/metastate-p2p/metastate/protocol/decision/count"
)

// groups counts equal ballots together, in the order in which they first come.
// It is a hash table without the strings that a map would make of a million
// different ballots. The seed of its hashes affects no result.
type groups struct {
	ballots []count.Ballot
	seed    maphash.Seed
	hashes  []uint32 // of ballots
	table   []uint32 // 1 + index of a ballot, 0 where there is none; a power of two long
	room    []byte   // for marks
}

func newGroups() *groups { return &groups{seed: maphash.MakeSeed(), table: make([]uint32, 64)} }

// add counts marks, which it doesn't keep, n times more.
func (g *groups) add(marks count.Marks, n uint64) {
	if 2*len(g.ballots) >= len(g.table) {
		g.grow()
	}
	h := uint32(maphash.Bytes(g.seed, marks))
	at := g.slot(h, marks)
	if i := g.table[at]; i != 0 {
		g.ballots[i-1].N += n
		return
	}
	if len(g.room) < len(marks) {
		g.room = make([]byte, max(1<<12, len(marks)))
	}
	own := count.Marks(g.room[:len(marks):len(marks)])
	g.room = g.room[copy(own, marks):]
	g.ballots = append(g.ballots, count.Ballot{Marks: own, N: n})
	g.hashes = append(g.hashes, h)
	g.table[at] = uint32(len(g.ballots))
}

// slot is where the table has marks, or a free place for them.
func (g *groups) slot(h uint32, marks count.Marks) uint32 {
	mask := uint32(len(g.table) - 1)
	for at := h & mask; ; at = (at + 1) & mask {
		i := g.table[at]
		if i == 0 || marks != nil && g.hashes[i-1] == h && bytes.Equal(g.ballots[i-1].Marks, marks) {
			return at
		}
	}
}

func (g *groups) grow() {
	g.table = make([]uint32, 4*len(g.table))
	for i, h := range g.hashes {
		g.table[g.slot(h, nil)] = uint32(i + 1)
	}
}
