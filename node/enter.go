package node

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/identity/vault"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/store"
)

// Found founds a metastate, whose first member and clerk this person is.
func (n *Node) Found(_ context.Context, req FoundRequest) (Membership, error) {
	c, err := charterFor(req)
	if err != nil {
		return Membership{}, err
	}
	f, err := newFounding(req.Name, c, nil, time.Now())
	if err != nil {
		return Membership{}, err
	}
	return n.found(f, req)
}

// Join asks to be admitted under an invite. It returns once the request is
// saved and a member was asked once; joining goes on in the background, also
// after a restart, until the newcomer is a member.
func (n *Node) Join(ctx context.Context, req JoinRequest) (m Membership, err error) {
	l, err := parseLink(req.Link)
	if err != nil {
		return m, err
	}
	if m, err = n.beginJoin(l, req); err != nil {
		return m, err
	}
	if c := n.lookup(l.Metastate); c != nil {
		c.awaitFirstTry(ctx)
		m.Standing = c.Status().Standing
		if why, dead := c.deadInvite(); dead {
			return m, refuse(why, "ask for a new invite, and join with that")
		}
	}
	return m, nil
}

// beginJoin saves the request to join, unless this node did before.
func (n *Node) beginJoin(l link, req JoinRequest) (m Membership, err error) {
	n.joinMu.Lock()
	defer n.joinMu.Unlock()
	if err := identity.ValidName(req.As); req.As != "" && err != nil {
		return m, &Error{Code: "usage", Exit: ExitUsage, Message: err.Error(), Err: err}
	}
	now := time.Now()
	if !l.public() && l.Expires <= now.Unix() {
		return m, refuse("the invite expired on "+at(l.Expires).Format(time.RFC3339), "ask for a new one")
	}
	if old := n.lookup(l.Metastate); old != nil {
		return n.joinAgain(old, l, req)
	}
	return n.enter(entry{l.Metastate, "joining " + l.Metastate.String()[:16], req.Presence, req.Passphrase},
		func(e *identity.Entropy, d *vault.Daily) (store.Batch, error) {
			j, err := apply(e, d, l, req.As, now)
			if err != nil {
				return store.Batch{}, err
			}
			return store.Batch{Private: map[string][]byte{privJoin: j.encode()}}, nil
		})
}

// apply makes a new persona and its application under an invite.
func apply(e *identity.Entropy, d *vault.Daily, l link, as string, now time.Time) (*joining, error) {
	var introducer identity.Signer
	if !l.public() {
		invite := identity.InviteKey([linkSecretSize]byte(l.Secret), l.Metastate)
		defer invite.Erase()
		introducer = invite
	}
	device := deviceKey(*d)
	b, err := born(e, l.Metastate, d.Index, as, introducer, device, nil, now)
	if err != nil {
		return nil, err
	}
	d.Persona = identity.Digest(b.inception.ID())
	return newJoining(l, b, device, b.inception.ID(), [32]byte(d.Member), now)
}

// An entry is a citizenship to add.
type entry struct {
	metastate  protocol.ID
	name       string // local
	presence   string // that it shares; empty: its own
	passphrase []byte
}

// enter adds a citizenship: persona keys sign what begins it, the vault keeps
// its keys, its store what it begins with. The order makes a crash harmless: a
// store without a citizenship is swept away, never the other way round.
func (n *Node) enter(in entry, begin func(*identity.Entropy, *vault.Daily) (store.Batch, error)) (m Membership, err error) {
	if err := checkPresence(in.presence); err != nil {
		return m, err
	}
	seed, listen, err := n.closeSpare()
	if err != nil {
		return m, err
	}
	defer n.makeRoom(in.metastate, min(pressed, n.room.after))()
	var st *store.Store
	var d vault.Daily
	err = n.vault.update(in.passphrase, func(c *vault.Contents) error {
		alias := aliasFor(in.name, func(a string) bool {
			return slices.ContainsFunc(c.Citizenships, func(x vault.Citizenship) bool { return x.Alias == a })
		})
		if i := citizenshipIn(c, in.metastate); i >= 0 {
			return &Error{Code: "already-entered", Exit: ExitFailed, Message: "the vault holds a persona in that metastate, which this node did not take up", Hint: "restart the node"}
		}
		d = newDaily(in.metastate, alias, seed)
		settle(&d, in.presence, c.Citizenships)
		batch, err := begin(&c.Entropy, &d)
		if err != nil {
			return err
		}
		if err := n.sweep(in.metastate); err != nil {
			return err
		}
		if st, err = n.openStore(d); err != nil {
			return err
		}
		if err := st.Commit(batch); err != nil {
			return storeError(err)
		}
		c.Citizenships = append(c.Citizenships, vault.Citizenship{Daily: d})
		return nil
	})
	if err != nil {
		if st != nil {
			err = errors.Join(err, st.Close())
		}
		n.mu.Lock()
		defer n.mu.Unlock()
		if len(n.open) == 0 && !n.closed {
			err = errors.Join(err, n.openSpare())
		}
		return m, err
	}
	c, err := n.begin(d, st, listen)
	if err != nil {
		return m, err
	}
	s := c.Status()
	return Membership{Metastate: s.ID, Persona: s.Persona, Standing: s.Standing}, nil
}
