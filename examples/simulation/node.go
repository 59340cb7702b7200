package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/state"
)

// A node is what one member's computer holds.
type node struct {
	*world
	i     int
	side  int // of the network
	at    *final
	held  set
	waits []int // records that came before what they need
	clerk *clerk
}

// Header is the header of a control record that the node holds.
func (n *node) Header(id protocol.ID) (h protocol.Header, ok bool) {
	i, ok := n.history.number[id]
	if !ok || !n.held.has(i) {
		return h, false
	}
	r := n.history.records[i]
	return r.Header(), r.Plane() == protocol.Control
}

// CheckpointID is the id of the checkpoint final at a height here.
func (n *node) CheckpointID(height uint64) (id protocol.ID, ok bool) {
	if height == 0 || height > uint64(len(n.at.ids)) {
		return id, false
	}
	return n.at.ids[height-1], true
}

// Covered reports whether the node's latest checkpoint covers a control record.
func (n *node) Covered(id protocol.ID) bool { return n.at.tip.Covered(protocol.ID{}).Has(id) }

// Began is 0: each node has the whole history.
func (n *node) Began() uint64 { return 0 }

var _ state.Holdings = (*node)(nil)

// receive judges a record as every node does (SPEC §4.1) and keeps it, has it
// wait, or drops it.
func (n *node) receive(i int) {
	if n.held.has(i) {
		return
	}
	r := n.history.records[i]
	err := n.at.tip.State().Receive(r, n)
	var missing *state.Missing
	switch {
	case errors.As(err, &missing):
		if !slices.Contains(n.waits, i) {
			n.waits = append(n.waits, i)
		}
		return
	case err == nil && n.third(i):
		err = fmt.Errorf("%w: two rivals of it are held", state.ErrRefused)
	}
	if err != nil {
		_, why, _ := strings.Cut(err.Error(), "refused: ")
		n.told.refused[i] = why
		return
	}
	n.keep(i)
}

// third reports whether two rivals of a record are held and not final.
func (n *node) third(i int) bool {
	held := 0
	for _, o := range n.history.rivals[placeOf(n.history.records[i].Header())] {
		if n.held.has(o) && !n.at.tip.Covers(n.history.records[o]) {
			held++
		}
	}
	return held >= 2
}

func (n *node) keep(i int) {
	n.held.add(i)
	if n.clerk != nil {
		n.clerk.notice(i)
	}
}

// spread has a record travel from a node to all that it reaches.
func (n *node) spread(r *protocol.Record) {
	i := n.know(r)
	n.receive(i)
	for d := 1; d <= farthest; d++ {
		n.after(d, func() {
			for _, to := range n.nodes {
				if h := mix(n.seed, uint64(i), uint64(to.i)); int(h%farthest)+1 == d && h>>32%100 >= loss && to.side == n.side {
					to.receive(i)
				}
			}
		})
	}
}

// pull takes over what another node has and this one lacks.
func (n *node) pull(from *node) {
	for next := n.history.after[n.ref()]; next != nil && n.height() < from.height(); next = n.history.after[n.ref()] {
		n.adopt(next)
	}
	for _, i := range from.held.without(n.held) {
		n.receive(i)
	}
}

func (n *node) height() uint64 { return n.at.tip.Ref().Height }

func (n *node) ref() protocol.ID { return n.at.tip.Ref().ID }

// adopt makes a checkpoint the node's latest. What it covers is taken, whatever
// the node would have made of it.
func (n *node) adopt(f *final) {
	n.at = f
	for _, i := range f.covers {
		if !n.held.has(i) {
			n.keep(i)
		}
	}
	for _, i := range f.drops {
		n.held.remove(i)
		if n.clerk != nil {
			delete(n.clerk.open, i)
		}
	}
	waits := n.waits
	n.waits = nil
	for _, i := range waits {
		n.receive(i)
	}
	if n.clerk != nil {
		n.clerk.moved()
	}
}

// certified sends a checkpoint that a clerk saw decided to all it reaches.
func (n *node) certified(f *final) {
	if was := n.history.after[f.ids0()]; was == nil {
		n.history.after[f.ids0()] = f
		n.told.decided(n.world, n.side, f)
	} else if was.tip.Ref() != f.tip.Ref() {
		n.fail("two checkpoints of height %d: agreement is broken", f.tip.Ref().Height)
	}
	for _, to := range n.nodes {
		h := mix(n.seed, uint64(n.i), uint64(to.i), f.tip.Ref().Height)
		if h>>32%100 < loss {
			continue
		}
		n.after(int(h%farthest)+1, func() {
			if to.side == n.side && to.height()+1 == f.tip.Ref().Height && to.ref() == f.ids0() {
				to.adopt(f)
			}
		})
	}
}
