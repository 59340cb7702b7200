package node

import (
	"slices"
	"time"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/abroad"
	"github.com/metastate-p2p/metastate/protocol/roll"
)

// claimTurn is how long the members of a fork leave it to each other to bring
// the claim of somebody else, each with a turn of its own.
const claimTurn = 2 * time.Second

// An envoy brings to a metastate what others' checkpoints show, of its parent and
// of the other sides of its pacts, on a node that takes part in both. It is of one goroutine.
type envoy struct {
	*Community
	own     *ledger
	settled [32]byte                  // digest of the parent's roll in which nobody is left to claim for
	scanned map[protocol.ID]uint64    // up to which height of another metastate the clerks did not change
	seen    map[protocol.ID]time.Time // when somebody's move was first seen
	brought map[protocol.ID]uint64    // the height there of the last proof of a persona or pact
}

// visit brings the news that there are.
func (e *envoy) visit() {
	s := e.own.Snapshot()
	if s.Trouble != nil || s.Final.Roll().Member(e.Persona()).Rank() < roll.RankMember {
		return
	}
	if parent, height, ok := s.Final.Abroad().Parent(); ok {
		if there := e.there(s, parent); there != nil {
			e.claims(s, there, height)
		}
	}
	for id, p := range s.Final.Abroad().Pacts() {
		if p.Standing == abroad.Ended {
			continue
		}
		if there := e.there(s, p.With); there != nil {
			e.countersign(p, id, there)
		}
	}
}

// there is the ledger of another metastate on this node, nil if there is none, or
// if the news of who signs there comes first: all else is judged by it.
func (e *envoy) there(s *Snapshot, of protocol.ID) *ledger {
	other := e.net.find(of)
	if other == nil || other.book() == nil || e.news(other.book(), of, s.Final.Abroad().Known(of)) {
		return nil
	}
	return other.book()
}

// claims brings those of all who moved and whose turn it is.
func (e *envoy) claims(s *Snapshot, there *ledger, height uint64) {
	final := there.currentTip().State().Roll()
	root := final.Roots().Members
	if root == e.settled {
		return
	}
	left := 0
	for _, m := range abroad.Moved(final, e.id, height) {
		if _, done := s.Final.Abroad().Claimed(m.From); done {
			continue
		}
		left++
		if s.Final.Roll().Member(m.To) != nil && e.due(m) {
			e.claim(there, m.From)
		}
	}
	if left == 0 {
		e.settled = root
	}
}

// countersign shows what the other side has of a pact, if it changes something.
func (e *envoy) countersign(p *abroad.Pact, id protocol.ID, there *ledger) {
	tip := there.currentTip()
	x := tip.State().Abroad().Pact(id)
	if x == nil || x.Standing != abroad.Ended && p.Standing == abroad.InForce || !e.due(abroad.Share{From: id}) {
		return
	}
	for _, r := range e.own.Snapshot().Open {
		if body, err := protocol.Body[abroad.CountersignBody](r); r.Kind() == protocol.Countersign && err == nil && body.Pact == id {
			return
		}
	}
	e.bring(id, there, func(cert []byte) (protocol.Kind, any) {
		return protocol.Countersign, abroad.CountersignBody{Pact: id, Certificate: cert, Proof: tip.State().ProvePact(id)}
	})
}

// news shows the next change of the parent's clerks, if there was one. It then
// waits until that is final.
func (e *envoy) news(l *ledger, parent protocol.ID, known *abroad.Known) bool {
	tip := l.currentTip().Ref().Height
	for h := max(e.scanned[parent], known.Height) + 1; h <= tip; h++ {
		cert, v, err := l.certificateAt(h)
		if err != nil { // before this node's history begins: others have it
			return true
		}
		if slices.Equal(v.Clerks, known.Clerks) {
			e.scanned[parent] = h
			continue
		}
		if e.pending(protocol.Anchor) {
			return true
		}
		if _, err := known.Holds(parent, cert.Encode()); err != nil { // under a recall, or its founders lied
			e.log.Debug("the clerks of another metastate can't be followed", "cause", err)
			return true
		}
		if _, err := e.act(protocol.Anchor, abroad.AnchorBody{Metastate: parent, Certificate: cert.Encode()}); err != nil {
			e.log.Warn("showing who signs in another metastate", "cause", err)
		}
		return true
	}
	return false
}

// pending reports whether a record of a kind by this persona waits to be covered.
func (e *envoy) pending(kind protocol.Kind) bool {
	for _, r := range e.own.Snapshot().Open {
		if r.Kind() == kind && r.Author() == e.Persona() {
			return true
		}
	}
	return false
}

// due reports whether it is this node's turn to claim for somebody: at once for
// its own person, else after a while, if nobody else has.
func (e *envoy) due(m abroad.Share) bool {
	if m.To == e.Persona() {
		return true
	}
	first, ok := e.seen[m.From]
	if !ok {
		first = time.Now()
		e.seen[m.From] = first
	}
	turn := protocol.Sum(append(slices.Clone(m.From[:]), e.daily.Persona[:]...))[0] % 8
	return time.Since(first) >= time.Duration(turn)*claimTurn
}

// claim brings the claim of a persona by the parent's latest checkpoint, once for
// each, and not while somebody's waits to be covered.
func (e *envoy) claim(l *ledger, persona protocol.ID) {
	for _, r := range e.own.Snapshot().Open {
		if body, err := protocol.Body[abroad.ClaimBody](r); r.Kind() == protocol.Claim && err == nil && body.Persona == persona {
			return
		}
	}
	tip := l.currentTip()
	e.bring(persona, l, func(cert []byte) (protocol.Kind, any) {
		return protocol.Claim, abroad.ClaimBody{Persona: persona, Certificate: cert, Proof: tip.State().ProveMember(persona)}
	})
}

// bring makes a record of what the latest checkpoint there shows about a subject,
// once for each checkpoint.
func (e *envoy) bring(about protocol.ID, there *ledger, body func(cert []byte) (protocol.Kind, any)) {
	height := there.currentTip().Ref().Height
	if e.brought[about] == height {
		return
	}
	e.brought[about] = height
	cert, _, err := there.certificateAt(height)
	if err == nil {
		kind, b := body(cert.Encode())
		_, err = e.act(kind, b)
	}
	if err != nil { // too large with this checkpoint: the next may be smaller
		e.log.Warn("bringing a proof from another metastate", "cause", err)
	}
}
