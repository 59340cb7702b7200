package node

import (
	"bytes"
	"maps"
	"slices"
	"time"

	"github.com/metastate-p2p/metastate/node/internal/p2p"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/merkle"
)

// The town's network, and how it misbehaves.
const (
	loss      = 25 // of 100 messages
	repeat    = 15
	slowest   = 1500 * time.Millisecond
	syncAbout = 4 * time.Second
)

func (h *home) announce(height uint64) {
	frames, err := h.community().replica.checkpointFrames(height)
	if err == nil {
		h.gossip(p2p.Certificates, frames)
	}
}

func (h *home) spread(kind p2p.Kind, contents ...[]byte) {
	h.gossip(kind, h.community().replica.seal(kind, contents...))
}

// gossip sends frames to every home, as the network is.
func (h *home) gossip(kind p2p.Kind, frames [][]byte) {
	if len(frames) == 0 {
		return
	}
	if h.carry != nil {
		h.carry(h, kind, frames)
		return
	}
	message := protocol.Sum(bytes.Join(frames, nil))
	for _, to := range h.homes {
		if to == h || kind == p2p.Agreement && to.i >= h.panel {
			continue
		}
		for again := range h.copies(to) {
			delay := h.delay()
			time.AfterFunc(delay, func() {
				if h.ctx.Err() == nil && h.reaches(to) && (to.hears(message, kind) || again > 0) {
					_ = to.deliver(kind, frames)
				}
			})
		}
	}
}

// deliver takes in what came.
func (h *home) deliver(kind p2p.Kind, frames [][]byte) error {
	if h.drops != nil {
		frames = h.drops(kind, frames)
	}
	_, err := h.community().replica.Deliver(h.ctx, "", kind, frames)
	return err
}

// hears reports whether a message is new here, as libp2p's gossip drops what
// came already from somebody else. Clerks repeat themselves on purpose.
func (h *home) hears(message protocol.ID, kind p2p.Kind) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if kind != p2p.Agreement && h.heard[message] {
		return false
	}
	h.heard[message] = true
	return true
}

func (w *town) copies(to *home) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch n := w.rng.IntN(100); {
	case w.bad && n < loss:
		return 0
	case w.bad && n < loss+repeat:
		return 2
	}
	return 1
}

func (w *town) delay() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.bad {
		return 20 * time.Millisecond
	}
	return time.Duration(1 + w.rng.Int64N(int64(slowest)))
}

func (h *home) reaches(to *home) bool {
	h.town.mu.Lock()
	defer h.town.mu.Unlock()
	return h.side[h.i] == h.side[to.i]
}

// parts puts each home on the side named for it; the homes not named are on side 0.
func (w *town) parts(sides ...int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	clear(w.side)
	copy(w.side, sides)
}

// draw is a random number below n.
func (w *town) draw(n int) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.rng.IntN(n)
}

// syncing exchanges with a random home now and then, and soon when asked.
func (h *home) syncing() {
	for {
		wait := syncAbout/2 + time.Duration(h.draw(int(syncAbout)))
		select {
		case <-h.ctx.Done():
			return
		case <-h.ask:
		case <-time.After(wait):
		}
		select {
		case <-h.ctx.Done():
			return
		case <-time.After(h.delay()):
		}
		from := h.homes[h.draw(len(h.homes))]
		if from == h || !h.reaches(from) {
			continue
		}
		part := 1.0
		h.town.mu.Lock()
		if h.bad && h.rng.IntN(100) < loss { // it breaks off
			part = h.rng.Float64()
		}
		h.town.mu.Unlock()
		h.pull(from, part)
		if part == 1 {
			from.pull(h, 1)
		}
	}
}

// pull brings a part of what another home has, as a sync session does: records
// first, then certificates.
func (h *home) pull(from *home, part float64) {
	mine, theirs := h.community(), from.community()
	have, sets := setsOf(mine), setsOf(theirs)
	var lacks []protocol.ID
	for _, set := range slices.SortedFunc(maps.Keys(sets), protocol.ID.Compare) { // the control plane first
		if sets[set].Root() == have[set].Root() {
			continue
		}
		for id := range sets[set].All() {
			if !have[set].Has(id) {
				lacks = append(lacks, id)
			}
		}
	}
	lacks = lacks[:int(part*float64(len(lacks)))]
	var frames [][]byte
	for f, err := range theirs.replica.Records(lacks) {
		if err != nil {
			h.t.Error(err)
			return
		}
		frames = append(frames, f)
	}
	if err := h.deliver(p2p.Records, frames); err != nil {
		h.t.Errorf("home %d: an honest home's records: %v", h.i, err)
	}
	if part < 1 {
		return
	}
	first := mine.replica.Wants()
	height, id := mine.replica.Tip()
	if at, other := theirs.replica.Tip(); at == height && other != id {
		first = min(first, height)
	}
	for f, err := range theirs.replica.Certificates(first) {
		if err != nil {
			h.t.Error(err)
			return
		}
		if err := h.deliver(p2p.Certificates, [][]byte{f}); err != nil {
			if mine.Status().Trouble == "" {
				h.t.Errorf("home %d: an honest home's checkpoints: %v", h.i, err)
			}
			return
		}
	}
	h.named(mine, theirs)
}

// named brings by name what certificates wait for, as a session does.
func (h *home) named(mine, theirs *Community) {
	for range 64 {
		need := mine.replica.Lacking()
		for f, err := range theirs.replica.Records(need) {
			if err == nil {
				_, err = mine.replica.Deliver(h.ctx, "", p2p.Records, [][]byte{f})
			}
			if err != nil {
				h.t.Errorf("home %d: records asked for by name: %v", h.i, err)
				return
			}
		}
		if now := mine.replica.Lacking(); len(now) == 0 || slices.Equal(now, need) {
			return
		}
	}
}

func setsOf(c *Community) map[protocol.ID]merkle.Set {
	c.ledger.mu.Lock()
	defer c.ledger.mu.Unlock()
	return maps.Clone(c.ledger.sets)
}
