package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/identity/vault"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/abroad"
	"github.com/metastate-p2p/metastate/protocol/checkpoint"
	"github.com/metastate-p2p/metastate/protocol/roll"
	"github.com/metastate-p2p/metastate/store"
)

// forkInviteLife is how long the invite to a fork is open, if its charter lets
// it: people take their time to leave.
const forkInviteLife = 30 * 24 * time.Hour

// Fork founds a metastate from the latest final checkpoint of the one that ref
// names, with its charter unless the request has another, and an invite to it.
func (n *Node) Fork(ctx context.Context, ref string, req FoundRequest) (Forked, error) {
	parent, err := n.Community(ref)
	if err != nil {
		return Forked{}, err
	}
	release, err := parent.Hold()
	if err != nil {
		return Forked{}, err
	}
	defer release()
	s, m, err := parent.me()
	if err != nil {
		return Forked{}, err
	}
	if m.Rank() < roll.RankMember {
		return Forked{}, refuse("only members in full standing fork it", "metastate status")
	}
	c := *s.Final.Charter()
	if req.Charter != "" || req.Template != "" {
		if c, err = charterFor(req); err != nil {
			return Forked{}, err
		}
	}
	anchor, err := parent.book().anchor(s.Ref.Height)
	if err != nil {
		return Forked{}, err
	}
	f, err := newFounding(req.Name, c, &anchor, time.Now())
	if err != nil {
		return Forked{}, err
	}
	out := Forked{Parent: ParentRef{Metastate: anchor.Metastate, Height: anchor.Height, ID: anchor.ID}}
	if out.Membership, err = n.found(f, req); err != nil {
		return out, err
	}
	life := min(forkInviteLife, time.Duration(c.Admission.MaxAge)*time.Second)
	uses := max(1, min(c.Admission.MaxUses, s.Final.Roll().Size()))
	fork := n.lookup(out.Metastate)
	if fork == nil {
		return out, errClosed()
	}
	link, err := fork.CreateInvite(ctx, InviteRequest{Uses: uses, Expires: life})
	if err != nil {
		return out, err
	}
	out.Link = link.Link
	return out, nil
}

// anchor is that of the checkpoint at a height.
func (l *ledger) anchor(height uint64) (abroad.Anchor, error) {
	cert, _, err := l.certificateAt(height)
	if err != nil {
		return abroad.Anchor{}, err
	}
	return abroad.AnchorOf(cert.Value)
}

// found stores a founding, in which this person is the first member.
func (n *Node) found(f founding, req FoundRequest) (Membership, error) {
	n.joinMu.Lock()
	defer n.joinMu.Unlock()
	defer f.key.Erase()
	if err := identity.ValidName(req.As); req.As != "" && err != nil {
		return Membership{}, &Error{Code: "usage", Exit: ExitUsage, Message: err.Error(), Err: err}
	}
	ms, now := f.genesis.ID(), time.Unix(f.genesis.Header().Time, 0)
	return n.enter(entry{ms, req.Name, req.Presence, req.Passphrase}, func(e *identity.Entropy, d *vault.Daily) (store.Batch, error) {
		b, err := born(e, ms, d.Index, req.As, f.key, deviceKey(*d), []protocol.ID{ms}, now)
		if err != nil {
			return store.Batch{}, err
		}
		d.Persona = identity.Digest(b.inception.ID())
		batch, err := f.items(b, now)
		if err != nil {
			return store.Batch{}, err
		}
		secret := random32()
		batch.Private = map[string][]byte{privEpoch: secret[:]}
		return batch, nil
	})
}

// LeaveTo leaves the metastate that ref names for a fork of it in which this node
// has a persona, which takes standing and share along.
func (n *Node) LeaveTo(ctx context.Context, ref string, req LeaveRequest) (RecordRef, error) {
	c, err := n.Community(ref)
	if err != nil {
		return RecordRef{}, err
	}
	if err := c.stays(); err != nil {
		return RecordRef{}, err
	}
	_, m, err := c.me()
	if err != nil {
		return RecordRef{}, err
	}
	fork, err := n.Community(req.To)
	if err != nil {
		return RecordRef{}, err
	}
	height, err := c.forkedAt(fork, req.Height)
	if err != nil {
		return RecordRef{}, err
	}
	switch {
	case m.Moved != nil:
		return RecordRef{}, refuse("you left for a fork before, and moved what you had there", "leave without --to")
	case m.Standing() != roll.Full && m.Standing() != roll.Suspended:
		return RecordRef{}, refuse("only who was admitted takes anything along", "leave without --to")
	}
	r, err := c.act(protocol.Leave, roll.LeaveBody{To: &roll.Move{
		Metastate: fork.id, Persona: fork.Persona(), Height: height,
	}})
	return c.done(ctx, r, err)
}

// forkedAt is the height of c's checkpoint from which another metastate on this
// node was founded. While that is being joined its genesis is not known here, and
// the height must be given.
func (c *Community) forkedAt(fork *Community, given uint64) (uint64, error) {
	s := fork.Snapshot()
	if s == nil {
		if given == 0 {
			return 0, refuse("you are not admitted there yet, so this node does not know which checkpoint it was founded from", "ask who founded it for the height, and give --height")
		}
		return given, nil
	}
	of, height, ok := s.Final.Abroad().Parent()
	if !ok || of != c.id || given != 0 && given != height {
		return 0, refuse("it was not founded from that metastate, or from another checkpoint", "metastate leave, without --to, takes nothing along")
	}
	if height < c.book().Began() { // not held here
		return height, nil
	}
	here, err := c.book().anchor(height)
	if err != nil {
		return 0, err
	}
	if k := s.Final.Abroad().Known(c.id); k.Height == height && k.ID != here.ID {
		return 0, refuse("it names a checkpoint that this metastate never had", "do not trust its founders: they made it up")
	}
	return height, nil
}

// Split is who moved from a parent to its fork: as the fork has it if ref names
// one, else as the parent has it of the fork named.
func (n *Node) Split(ref, fork string, height uint64) (Split, error) {
	c, err := n.Community(ref)
	if err != nil {
		return Split{}, err
	}
	s := c.Snapshot()
	if s == nil {
		return Split{}, errNotYet()
	}
	if fork == "" {
		parent, height, ok := s.Final.Abroad().Parent()
		if !ok {
			return Split{}, refuse("it is nobody's fork", "name the fork whose parent it is: metastate split FORK")
		}
		return splitOf(parent, c.id, height, s.Final.Abroad().Split()), nil
	}
	id, err := protocol.ParseID(fork)
	if other, e := n.Community(fork); e == nil {
		id, err = other.id, nil
		if height, err = c.forkedAt(other, height); err != nil {
			return Split{}, err
		}
	}
	if err != nil || height == 0 {
		return Split{}, &Error{Code: "usage", Exit: ExitUsage, Message: "a fork in which this node has no part is named by its whole id, and the height it was founded from", Hint: "metastate split ID --height N"}
	}
	return splitOf(c.id, id, height, abroad.Moved(s.Final.Roll(), id, height)), nil
}

func splitOf(parent, fork protocol.ID, height uint64, list []abroad.Share) Split {
	out := Split{Parent: parent, Fork: fork, Height: height, Moved: []Moved{}}
	for _, m := range list {
		out.Moved = append(out.Moved, Moved(m))
	}
	return out
}

// Claim brings a proof of standing (SPEC §7.7) of somebody who left the parent
// for this fork.
func (c *Community) Claim(ctx context.Context, proof []byte) (RecordRef, error) {
	s, m, err := c.me()
	if err != nil {
		return RecordRef{}, err
	}
	st, err := checkpoint.ParseStanding(proof)
	if err != nil {
		return RecordRef{}, &Error{Code: "proof-invalid", Exit: ExitVerify, Message: "it is no proof of a standing", Hint: "it is made in the parent, by roll prove", Err: err}
	}
	body := abroad.ClaimBody{Persona: st.Persona, Certificate: st.Certificate, Proof: st.Proof}
	if m.Rank() < roll.RankMember {
		return RecordRef{}, refuse("only members in full standing bring claims", "metastate status")
	}
	if err := provable(c.id, s.Final.Abroad(), body); err != nil {
		return RecordRef{}, refuse("it does not show that somebody left the parent for here: "+err.Error(), "it is made in the parent, by roll prove, once the departure is final there")
	}
	r, err := c.act(protocol.Claim, body)
	return c.done(ctx, r, err)
}

// provable says why a claim would be void, as far as the fork's final state
// tells.
func provable(fork protocol.ID, s abroad.State, body abroad.ClaimBody) error {
	parent, height, ok := s.Parent()
	if !ok {
		return errors.New("this is nobody's fork")
	}
	v, err := s.Known(parent).Holds(parent, body.Certificate)
	if err != nil {
		return fmt.Errorf("the parent's clerks, as they are known here, did not sign it: %w", err)
	}
	if err := body.Proof.Verify(v.StateRoot, "members", body.Persona); err != nil {
		return err
	}
	m, err := roll.ParseMember(body.Persona, body.Proof.Entry)
	if err != nil {
		return err
	}
	if m.Moved == nil || m.Moved.Metastate != fork || m.Moved.Height != height {
		return errors.New("the persona stayed, or left for elsewhere")
	}
	if _, taken := s.Claimed(body.Persona); taken {
		return errors.New("it was claimed before")
	}
	return nil
}
