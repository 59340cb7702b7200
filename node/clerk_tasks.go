package node

import (
	"errors"
	"time"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/certificate"
	"github.com/metastate-p2p/metastate/protocol/checkpoint"
)

// help sends the checkpoint of an earlier height to whoever is there, at most
// once in a while: anyone can repeat an old message. Who is further behind
// syncs.
func (h *heightDriver) help(height uint64) {
	if height+maxWanted < h.height || time.Since(h.helped[height]) < resend {
		return
	}
	if h.helped == nil || len(h.helped) >= maxHelped {
		h.helped = map[uint64]time.Time{}
	}
	h.helped[height] = time.Now()
	h.announce(height)
}

func (h *heightDriver) carryOut(out checkpoint.Output) {
	switch out := out.(type) {
	case checkpoint.Persist:
		if err := h.ledger.store.PutPrivate(votesKey(h.height, h.era), out.Record); err != nil {
			// Nothing of it was sent. Begin again from what is durable, later.
			h.log.Error("a clerk's vote could not be made durable; trying again", "cause", err)
			h.drop()
		}
	case checkpoint.Broadcast:
		h.broadcast([]*checkpoint.Message{out.Message})
	case checkpoint.NeedValue:
		h.need = &out
	case checkpoint.Judge:
		h.asked = append(h.asked, out)
	case checkpoint.Schedule:
		due := letter{h.height, checkpoint.TimedOut{Step: out.Step, Round: out.Round}}
		h.timers = append(h.timers, time.AfterFunc(out.After, func() { h.post(due) }))
	case checkpoint.Decided:
		h.decided(out.Certificate)
	case checkpoint.Refused:
		h.machine = nil
		// The ledger says why it does not follow, and stops.
		if err := h.ledger.finalise(out.Certificate); err == nil || errors.Is(err, errWaiting) {
			h.halt(errors.New("node: a quorum of clerks made final what this node found invalid"))
		}
	case checkpoint.Accuse:
		h.accuse(out.Evidence)
	}
}

func (h *heightDriver) accuse(e checkpoint.Evidence) {
	b := e.Encode()
	if err := h.ledger.store.PutPrivate(privEvidence+protocol.Sum(b).String(), b); err != nil {
		h.log.Warn("keeping evidence against a clerk", "cause", err)
	}
	h.log.Error("a clerk signed two different things", "height", h.height)
	if body, ok := e.Body(h.clerks); ok {
		h.bring(body)
	}
}

func (h *heightDriver) decided(cert certificate.Certificate) {
	h.machine = nil
	if err := h.ledger.finalise(cert); err != nil {
		h.log.Error("a checkpoint that was decided could not be taken in; trying again", "height", h.height, "cause", err)
		h.drop()
		return
	}
	h.announce(h.height)
	h.poke()
}

// answer gives the machine the value and the judgements it asked for, as far
// as they can be given now. Answers may raise further questions.
func (h *heightDriver) answer() {
	if need := h.need; need != nil && h.machine != nil {
		next, ok, err := h.ledger.propose(h.recall)
		switch {
		case err != nil:
			h.log.Error("making a checkpoint failed", "cause", err)
		case ok:
			h.need = nil
			h.step(checkpoint.Propose{Round: need.Round, Value: next.Encoded})
		}
	}
	for progress := true; progress && h.machine != nil; {
		progress = false
		asked := h.asked
		h.asked = nil
		for _, q := range asked {
			ok, known := h.ledger.judge(q.Value, q.Fresh, h.began)
			if !known {
				h.asked = append(h.asked, q)
				h.ahead() // fetch what the value covers
				continue
			}
			progress = true
			h.step(checkpoint.Judged{Value: q.ID, Fresh: q.Fresh, OK: ok})
		}
	}
}

// broadcast sends messages with the chunks that a proposal among them names.
func (h *heightDriver) broadcast(msgs []*checkpoint.Message) {
	h.sent = time.Now()
	if len(msgs) == 0 {
		return
	}
	h.tries++
	var parts [][]byte
	for _, m := range msgs {
		for _, b := range h.ledger.chunksOf(m.ProposedValue()) {
			parts = append(parts, agreementPart(h.tries, partChunk, b))
		}
		parts = append(parts, agreementPart(h.tries, partMessage, m.Bytes()))
	}
	h.send(parts)
}
