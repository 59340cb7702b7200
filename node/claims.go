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

// An envoy brings to a fork what its parent's checkpoints show, on a node that
// takes part in both. It is of one goroutine.
type envoy struct {
	*Community
	settled [32]byte                  // digest of the parent's roll in which nobody is left to claim for
	scanned uint64                    // the parent's height up to which the clerks did not change
	seen    map[protocol.ID]time.Time // when somebody's move was first seen
	brought map[protocol.ID]uint64    // by persona in the parent: the parent's height of the last claim
}

// visit brings the news that there are: of who signs in the parent first, since
// claims are judged by it.
func (e *envoy) visit() {
	s := e.Snapshot()
	parent, height, ok := s.Final.Abroad().Parent()
	if !ok || s.Trouble != nil {
		return
	}
	there := e.net.find(parent)
	if me := s.Final.Roll().Member(e.Persona()); there == nil || there.book() == nil || me.Rank() < roll.RankMember {
		return
	}
	known := s.Final.Abroad().Known(parent)
	if e.news(there.book(), parent, known) {
		return
	}
	final := there.book().currentTip().State().Roll()
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
			e.claim(there.book(), m.From)
		}
	}
	if left == 0 {
		e.settled = root
	}
}

// news shows the next change of the parent's clerks, if there was one. It then
// waits until that is final.
func (e *envoy) news(l *ledger, parent protocol.ID, known *abroad.Known) bool {
	tip := l.currentTip().Ref().Height
	for h := max(e.scanned, known.Height) + 1; h <= tip; h++ {
		cert, v, err := l.certificateAt(h)
		if err != nil { // before this node's history begins: others have it
			return true
		}
		if slices.Equal(v.Clerks, known.Clerks) {
			e.scanned = h
			continue
		}
		if e.pending(protocol.Anchor) {
			return true
		}
		if _, err := known.Holds(parent, cert.Encode()); err != nil { // under a recall, or its founders lied
			e.log.Debug("the fork can't follow its parent's clerks", "cause", err)
			return true
		}
		if _, err := e.act(protocol.Anchor, abroad.AnchorBody{Metastate: parent, Certificate: cert.Encode()}); err != nil {
			e.log.Warn("showing the fork its parent's clerks", "cause", err)
		}
		return true
	}
	return false
}

// pending reports whether a record of a kind by this persona waits to be covered.
func (e *envoy) pending(kind protocol.Kind) bool {
	for _, r := range e.Snapshot().Open {
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
	for _, r := range e.Snapshot().Open {
		if body, err := protocol.Body[abroad.ClaimBody](r); r.Kind() == protocol.Claim && err == nil && body.Persona == persona {
			return
		}
	}
	tip := l.currentTip()
	if e.brought[persona] == tip.Ref().Height {
		return
	}
	e.brought[persona] = tip.Ref().Height
	cert, _, err := l.certificateAt(tip.Ref().Height)
	if err == nil {
		_, err = e.act(protocol.Claim, abroad.ClaimBody{
			Persona: persona, Certificate: cert.Encode(), Proof: tip.State().ProveMember(persona),
		})
	}
	if err != nil { // too large with this checkpoint: the next may be smaller
		e.log.Warn("claiming in a fork", "cause", err)
	}
}
