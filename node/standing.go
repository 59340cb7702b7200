package node

import (
	"github.com/metastate-p2p/metastate/protocol"
)

// ProveStanding makes the proof of a persona's standing at the latest
// checkpoint, which anyone can check without this node.
func (c *Community) ProveStanding(persona protocol.ID) ([]byte, error) {
	l := c.book()
	if l == nil {
		return nil, errNotYet()
	}
	return l.proveStanding(persona)
}

func (l *ledger) proveStanding(persona protocol.ID) ([]byte, error) {
	tip := l.currentTip()
	if tip.Ref().Height < 2 {
		return nil, refuse("a standing can be proven from the second checkpoint on", "any act of a member makes one: metastate invite create")
	}
	cert, _, err := l.certificateAt(tip.Ref().Height)
	if err != nil {
		return nil, err
	}
	before, _, err := l.certificateAt(tip.Ref().Height - 1)
	if err != nil {
		return nil, err
	}
	s, err := tip.Prove(persona, cert, before.Value)
	if err != nil {
		return nil, refuse("the latest checkpoint proves nothing by itself: it was made under a recall", "try again after the next")
	}
	return s.Encode(), nil
}
