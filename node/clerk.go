package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/certificate"
	"github.com/metastate-p2p/metastate/protocol/checkpoint"
	"github.com/metastate-p2p/metastate/protocol/roll"
	"github.com/metastate-p2p/metastate/store"
)

// How a clerk sends.
const (
	resend    = time.Second // own messages, until decided
	maxInbox  = 1024        // messages waiting for the machine
	maxHelped = 256         // heights remembered as sent to who is behind
)

// A clerk drives the agreement machine of the height after the tip on a node
// whose device signs checkpoints. One goroutine owns the machine.
type clerk struct {
	ledger   *ledger
	device   identity.Signer
	send     func(parts [][]byte)    // to all other clerks, lossy
	synced   func() bool             // whether this run has exchanged everything with a peer
	announce func(height uint64)     // sends the checkpoint at a height to all members
	ahead    func()                  // others are at a later height
	bring    func(roll.EvidenceBody) // makes a record of proof against a clerk
	log      *slog.Logger

	wake     chan struct{} // capacity 1: something changed
	mu       sync.Mutex
	inbox    []letter // guarded by mu
	agreeing bool     // guarded by mu: at work on a height, or stuck
}

// A letter is an input for the machine of a height; 0: whichever is at work.
type letter struct {
	height uint64
	in     checkpoint.Input
}

// run drives until ctx ends.
func (c *clerk) run(ctx context.Context) {
	h := &heightDriver{clerk: c, ctx: ctx, tries: rand.Uint64() >> 1}
	defer h.stop()
	tick := time.NewTimer(0)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.wake:
		case <-tick.C:
		}
		next := h.turn()
		h.note()
		tick.Reset(next)
	}
}

// poke wakes the driver.
func (c *clerk) poke() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// receive queues a message from another clerk, as it came.
func (c *clerk) receive(raw []byte) error {
	by := c.ledger.currentTip().Signers()
	clerks := by.Clerks
	if era := checkpoint.EraOf(raw); era != by.Era {
		act, successors, _ := c.ledger.recall()
		if act != era {
			return nil // it may be known here later; messages are sent again
		}
		clerks = successors
	}
	msg, err := checkpoint.ParseMessage(c.ledger.metastate, clerks, raw)
	if err != nil {
		return err
	}
	c.post(letter{in: checkpoint.Received{Message: msg}})
	return nil
}

func (c *clerk) post(l letter) {
	c.mu.Lock()
	// Timers are few and never come again; messages are sent until they count.
	if _, timer := l.in.(checkpoint.TimedOut); timer || len(c.inbox) < maxInbox {
		c.inbox = append(c.inbox, l)
	}
	c.mu.Unlock()
	c.poke()
}

func (c *clerk) take() []letter {
	c.mu.Lock()
	defer c.mu.Unlock()
	in := c.inbox
	c.inbox = nil
	return in
}

// putBack keeps timeouts for a later turn: they come once, and a machine that
// misses one may wait for good. Messages are sent again.
func (c *clerk) putBack(inputs []letter) {
	timeouts := slices.DeleteFunc(inputs, func(l letter) bool {
		_, ok := l.in.(checkpoint.TimedOut)
		return !ok
	})
	c.mu.Lock()
	defer c.mu.Unlock()
	c.inbox = append(timeouts, c.inbox...)
}

// A heightDriver is the clerk at one height. Its goroutine owns it.
type heightDriver struct {
	*clerk
	ctx     context.Context
	machine *checkpoint.Machine
	height  uint64
	recall  protocol.ID         // under which it works, zero if there is none
	prev    protocol.ID         // checkpoint before the height
	era     protocol.ID         // of what it signs
	clerks  []certificate.Clerk // who agree
	began   time.Time           // of the height here
	paced   time.Time           // when a machine was last begun
	sent    time.Time           // own messages, last
	tries   uint64              // broadcasts so far, in this run from a random start
	asked   []checkpoint.Judge
	need    *checkpoint.NeedValue
	timers  []*time.Timer
	callers map[int][]*checkpoint.Message // clerks at work on the height, while this one is not
	helped  map[uint64]time.Time          // when the checkpoints of earlier heights were last sent, for who is behind
	silent  bool                          // it signed at this height of another branch
	stuck   error                         // why this node signs nothing more
}

// turn does what there is to do and returns when to look again.
func (h *heightDriver) turn() time.Duration {
	for _, e := range h.ledger.takeProof() {
		h.bring(e)
	}
	if height := h.ledger.takeAlarm(); height > 0 {
		h.announce(height)
	}
	tip := h.ledger.currentTip()
	recall, clerks, ready := h.ledger.recall()
	by := certificate.Signers{Era: recall, Clerks: clerks}
	if recall.IsZero() {
		by, ready = tip.Signers(), true
	}
	if h.prev != tip.Ref().ID || h.height != tip.Ref().Height+1 || h.era != by.Era {
		h.reset(tip, by.Era)
	}
	h.recall, h.clerks = recall, by.Clerks
	inputs := h.take()
	if h.stuck != nil || !ready || !h.isClerk() || h.muted(tip) || recall.IsZero() && h.ledger.isContested() {
		h.putBack(inputs)
		return watch
	}
	if h.machine == nil && !h.silent && (h.called(inputs) || h.mayBegin(tip)) {
		h.begin(tip)
		inputs = append(h.heard(), inputs...)
	}
	if h.machine == nil {
		return h.nextLook()
	}
	for _, l := range inputs {
		if l.height == 0 || l.height == h.height {
			h.step(l.in)
		}
	}
	h.answer()
	if h.machine != nil && time.Since(h.sent) >= resend {
		h.broadcast(h.machine.Messages())
	}
	return min(resend, h.nextLook())
}

func (h *heightDriver) isClerk() bool {
	key := h.device.Public()
	return slices.ContainsFunc(h.clerks, func(c certificate.Clerk) bool { return c.Key == key })
}

// muted reports whether this clerk signs nothing because its store was rebuilt
// and what it signed before may be lost: until a checkpoint that others made
// later shows that the heights it worked on are over. A lone clerk has no
// others; it goes on once it has exchanged everything with a member, or if
// there is nobody else.
func (h *heightDriver) muted(tip checkpoint.Tip) bool {
	b, err := h.ledger.store.Private(privRebuilt)
	if errors.Is(err, store.ErrNotFound) {
		return false
	}
	at, parseErr := time.Parse(time.RFC3339, string(b))
	if err != nil || parseErr != nil {
		return true
	}
	over := tip.State().AsOf() > at.Add(maxAhead+maxBehind).Unix()
	if len(tip.Clerks()) == 1 {
		over = h.synced() || h.ledger.alone(tip.Clerks()[0].Persona)
	}
	if !over {
		return true
	}
	if err := h.ledger.store.DeletePrivate(privRebuilt); err != nil {
		h.log.Warn("clearing the mark of a rebuilt store", "cause", err)
	}
	return false
}

// reset leaves a height that is over, or turns to another branch or to or from
// a recall at the same height: what was signed there stays, lest it sign there
// twice.
func (h *heightDriver) reset(tip checkpoint.Tip, era protocol.ID) {
	if next := tip.Ref().Height + 1; h.height > 0 && h.height != next {
		for _, key := range h.ledger.store.PrivateKeys(votesKey(h.height, protocol.ID{})) {
			if err := h.ledger.store.DeletePrivate(key); err != nil {
				h.log.Warn("deleting what was signed at an earlier height", "cause", err)
			}
		}
	}
	h.drop()
	h.prev, h.height, h.era = tip.Ref().ID, tip.Ref().Height+1, era
	h.silent, h.callers = false, map[int][]*checkpoint.Message{}
}

// drop ends the machine without leaving the height. It is taken up again from
// its durable record.
func (h *heightDriver) drop() {
	h.stop()
	h.machine, h.asked, h.need, h.timers = nil, nil, nil, nil
	h.began = time.Now()
}

func (h *heightDriver) stop() {
	for _, t := range h.timers {
		t.Stop()
	}
}

// votesKey names what was signed at a height in an era.
func votesKey(height uint64, era protocol.ID) string {
	key := fmt.Sprintf("%s%d/", privVotes, height)
	if !era.IsZero() {
		key += era.String()
	}
	return key
}

// begin makes the machine: as it was left if this clerk has signed anything at
// this height, whatever happened since.
func (h *heightDriver) begin(tip checkpoint.Tip) {
	h.paced = time.Now()
	cfg := checkpoint.Config{
		Metastate: h.ledger.metastate, Height: h.height, Prev: tip.Ref().ID, Era: h.era, Clerks: h.clerks, Signer: h.device,
	}
	record, err := h.ledger.store.Private(votesKey(h.height, h.era))
	var m *checkpoint.Machine
	if err == nil {
		m, err = checkpoint.Resume(cfg, record)
	} else if errors.Is(err, store.ErrNotFound) {
		m, err = checkpoint.New(cfg)
	}
	if errors.Is(err, checkpoint.ErrOtherBranch) {
		h.silent = true
		h.log.Warn("this clerk signs nothing at a height: it signed there on another branch", "height", h.height)
		return
	}
	if err != nil {
		h.halt(fmt.Errorf("node: taking up the clerk's work at height %d: %w", h.height, err))
		return
	}
	h.machine = m
	h.step(checkpoint.Start{})
}

// halt stops signing: to go on could be to sign twice.
func (h *heightDriver) halt(err error) {
	h.stuck, h.machine = err, nil
	h.ledger.stopFinality(err)
	h.log.Error("this clerk signs nothing more until the node is restarted", "cause", err)
}

// step feeds the machine and carries out what it asks.
func (h *heightDriver) step(in checkpoint.Input) {
	if h.machine == nil {
		return
	}
	outputs, verdict := h.machine.Step(in)
	switch verdict {
	case checkpoint.HeightBehind:
		if msg, ok := in.(checkpoint.Received); ok {
			h.help(msg.Message.Header().Height)
		}
	case checkpoint.HeightAhead:
		h.ahead()
	}
	for _, out := range outputs {
		if h.machine == nil {
			return
		}
		h.carryOut(out)
	}
}
