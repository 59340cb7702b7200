package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/node/internal/p2p"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/decision"
	"github.com/metastate-p2p/metastate/protocol/decision/committee"
	"github.com/metastate-p2p/metastate/protocol/state"
)

// The node of a trustee does what the office asks by itself (SPEC §8.6): it takes
// part in making the key, acknowledges which closing of a secret vote it opens, and
// gives its share. It goes by the final state alone, so that it catches up after
// whatever outage, and the same is asked of it again until a checkpoint covers it.

// A duty is a record that the final state asks of this device as a trustee: of a
// stage of a committee, or of a vote that is closed.
type duty struct {
	committee *committee.Committee
	number    int             // of the trustee in it
	stage     committee.Stage // of the committee; empty for a vote
	poll      *decision.Poll
	share     bool // of the vote; else it is to be acknowledged
}

// duties are what is asked of a persona by one device. They cost no cryptography.
func duties(s *state.State, persona protocol.ID, device identity.PublicKey) (list []duty) {
	d := s.Roll().Device(device)
	if m := s.Roll().Member(persona); m == nil || !belongs(m.Standing()) || d == nil || d.Persona != persona || !d.Live(s.AsOf()) {
		return nil // nothing that it writes is taken
	}
	mine := map[protocol.ID]duty{}
	for c := range s.Decisions().Committees() {
		n := c.Number(persona)
		if n == 0 {
			continue
		}
		t := c.Trustees[n-1]
		if t.Announcement != nil && t.Device != device {
			continue // another device of theirs has the secret
		}
		asked := false
		switch c.Stage {
		case committee.Announce:
			asked = t.Announcement == nil
		case committee.Commit:
			asked = t.Announcement != nil && t.Commitment == nil
		case committee.Deal:
			asked = t.Commitment != nil && t.Deal == nil
		case committee.Confirm:
			asked = t.Announcement != nil && !t.Confirmed
		case committee.Ready:
			if t.Announcement != nil {
				mine[c.ID] = duty{committee: c, number: n}
			}
		}
		if asked {
			list = append(list, duty{committee: c, number: n, stage: c.Stage})
		}
	}
	if len(mine) == 0 {
		return list
	}
	for p := range s.Decisions().Polls() {
		if p.Phase != decision.Closed || p.Secret == nil {
			continue
		}
		x, ok := mine[p.Secret.Committee]
		if !ok {
			continue
		}
		x.poll, x.share = p, len(p.Secret.Acks) >= x.committee.Kind().Q()
		said := slices.Contains(p.Secret.Acks, uint64(x.number))
		if x.share {
			said = slices.ContainsFunc(p.Secret.Shares, func(o decision.OpenedShare) bool { return o.Trustee == uint64(x.number) })
		}
		if !said {
			list = append(list, x)
		}
	}
	return list
}

// trusteeDuties are what is asked of this node's device that it can do, and what it
// has written of it that no checkpoint covers.
func (l *ledger) trusteeDuties(persona protocol.ID) (list []duty, written []*protocol.Record) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.trouble != nil || l.contested() { // of two branches trustees open at most one
		return nil, nil
	}
	list = duties(l.tip.State(), persona, l.own)
	list = slices.DeleteFunc(list, func(x duty) bool {
		return x.stage != committee.Announce && len(l.store.PrivateKeys(trusteeKey(x.committee.ID))) == 0
	})
	if len(list) == 0 {
		return nil, nil
	}
	for _, r := range l.open {
		if h := r.Header(); h.Key == l.own && (h.Kind == protocol.Trustee || h.Kind == protocol.Open) {
			written = append(written, r.Record)
		}
	}
	return list, written
}

// isAsked reports whether anything is asked of this device as a trustee.
func (l *ledger) isAsked(persona protocol.ID) bool {
	list, _ := l.trusteeDuties(persona)
	return len(list) > 0
}

// serveAsTrustee does what is asked of a trustee until ctx ends.
func (c *Community) serveAsTrustee(ctx context.Context, l *ledger) {
	t := time.NewTicker(bookEvery) // for what failed
	defer t.Stop()
	var tidied protocol.ID
	told := ""
	for {
		changed := c.Changed()
		if err := c.trusteeTurn(l); err == nil {
			told = ""
		} else if told != err.Error() { // once, however often it is tried
			told = err.Error()
			c.log.Warn("a trustee's part could not be done; trying again", "cause", err)
		}
		if tip := l.currentTip().Ref().ID; tip != tidied {
			c.tidyVotes(l)
			tidied = tip
		}
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		case <-changed:
		}
	}
}

// trusteeTurn writes what is asked of a trustee now. One goroutine calls it.
func (c *Community) trusteeTurn(l *ledger) (err error) {
	list, written := l.trusteeDuties(c.Persona())
	for _, x := range list {
		err = errors.Join(err, c.perform(l, x, written))
	}
	return err
}

// perform writes the records of one duty that are not held yet.
func (c *Community) perform(l *ledger, x duty, written []*protocol.Record) error {
	if slices.ContainsFunc(written, x.done) {
		return nil
	}
	k, err := l.trusteeSecret(x)
	if err != nil {
		return err
	}
	defer k.erase()
	if x.poll != nil {
		return c.openAsTrustee(l, x, k, written)
	}
	bodies, err := k.says(x)
	if err != nil {
		return err
	}
	for _, b := range bodies {
		if slices.ContainsFunc(written, sameWords(b)) {
			continue
		}
		if err := c.writeAsTrustee(l, protocol.Trustee, b, func(s *state.State) bool {
			now := s.Decisions().Committee(x.committee.ID)
			return now != nil && now.Stage == x.stage
		}); err != nil {
			return err
		}
	}
	return nil
}

// done reports whether a record does the duty. Complaints are besides: there may be
// several.
func (x duty) done(r *protocol.Record) bool {
	if x.poll != nil {
		b, err := protocol.Body[decision.OpenBody](r)
		return r.Kind() == protocol.Open && err == nil && b.Proposal == x.poll.Proposal && len(b.Share) > 0 == x.share
	}
	b, err := protocol.Body[decision.TrusteeBody](r)
	return r.Kind() == protocol.Trustee && err == nil && b.Committee == x.committee.ID && b.Stage == x.stage
}

// openAsTrustee acknowledges a closing or gives the share of it. Which closing is
// on the disk before either is made.
func (c *Community) openAsTrustee(l *ledger, x duty, k *trusteeSecret, written []*protocol.Record) error {
	sealed := x.poll.Sealed()
	if !k.chose(x.poll.Proposal) && !slices.Contains(x.poll.Secret.Acks, uint64(x.number)) && l.mayHaveForgotten(x.poll) {
		return errForgotten
	}
	if err := l.choose(k, x.committee.ID, x.poll.Proposal, sealed.Set); err != nil {
		return err
	}
	body := decision.OpenBody{Proposal: x.poll.Proposal, Set: sealed.Set[:]}
	if x.share {
		var err error
		body.Set = nil
		if body.Share, err = k.share(x, sealed); err != nil {
			return err
		}
	}
	return c.writeAsTrustee(l, protocol.Open, body, func(s *state.State) bool {
		p := s.Decisions().Poll(x.poll.Proposal)
		return p != nil && p.Phase == decision.Closed && p.Sealed().Set == sealed.Set
	})
}

var errMoved = errors.New("node: what was asked of the trustee is over")

// writeAsTrustee writes a record if what asked for it still holds at the checkpoint
// that the record cites.
func (c *Community) writeAsTrustee(l *ledger, kind protocol.Kind, body any, still func(*state.State) bool) error {
	r, err := l.write(c.Persona(), c.key.Public(), kind, protocol.ID{}, func(h protocol.Header) (*protocol.Record, error) {
		if l.trouble != nil || !still(l.tip.State()) { // write holds mu
			return nil, errMoved
		}
		return protocol.Sign(h, body, nil, c.key)
	})
	if errors.Is(err, errMoved) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("node: writing as a trustee: %w", err)
	}
	c.publish(p2p.Records, r.Inner())
	return nil
}
