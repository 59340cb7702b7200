package node

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/identity/vault"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/dagcbor"
	"github.com/metastate-p2p/metastate/protocol/roll"
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

// joinedAgain answers who asks again to join, which changes nothing.
func (c *Community) joinedAgain(as string) (Membership, error) {
	st := c.Status()
	m := Membership{Metastate: st.ID, Persona: st.Persona, Standing: st.Standing}
	switch s := c.Snapshot(); {
	case s != nil:
		who := s.View.Roll().Member(st.Persona)
		if who == nil {
			return m, nil
		}
		switch standing := who.Standing(); {
		case standing == roll.Left, standing == roll.Expelled:
			return m, refuse("your persona has "+gone[standing]+" this metastate: no invite brings it back, only a decision of the members",
				"ask a member: metastate propose open --admit "+st.Persona.String())
		case as != "" && as != who.Name:
			return m, calledAlready(who.Name)
		}
	case as != "":
		if name, known := c.asksAs(); known && name != as {
			return m, calledAlready(name)
		}
	}
	return m, nil
}

// gone are the words for who is on the roll no more.
var gone = map[roll.Standing]string{roll.Left: "left", roll.Expelled: "been expelled from"}

func calledAlready(name string) error {
	called := "called " + strconv.Quote(name)
	if name == "" {
		called = "there without a name"
	}
	return refuse("you are "+called+", and a name that was asked for once can't be changed", "join again without --as")
}

// asksAs is the name in the request by which a node joins.
func (c *Community) asksAs() (name string, known bool) {
	c.mu.Lock()
	j := c.joining
	c.mu.Unlock()
	var ask joinRequest
	if j == nil || dagcbor.Unmarshal(j.Request, &ask) != nil || len(ask.Inception) == 0 {
		return "", false
	}
	r, err := protocol.Parse(ask.Inception)
	if err != nil {
		return "", false
	}
	in, err := protocol.Body[identity.Inception](r)
	return in.Name, err == nil
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
	old := n.lookup(l.Metastate)
	if old != nil && !old.replacedBy(l) {
		return old.joinedAgain(req.As)
	}
	return n.enter(l.Metastate, "joining "+l.Metastate.String()[:16], req.Passphrase, old,
		func(e *identity.Entropy, d *vault.Daily) (store.Batch, error) {
			var introducer identity.Signer
			if !l.public() {
				invite := identity.InviteKey([linkSecretSize]byte(l.Secret), l.Metastate)
				defer invite.Erase()
				introducer = invite
			}
			device := deviceKey(*d)
			b, err := born(e, l.Metastate, d.Index, req.As, introducer, device, nil, now)
			if err != nil {
				return store.Batch{}, err
			}
			d.Persona = identity.Digest(b.inception.ID())
			j, err := newJoining(l, b, device, b.inception.ID(), [32]byte(d.Member), now)
			if err != nil {
				return store.Batch{}, err
			}
			return store.Batch{Private: map[string][]byte{privJoin: j.encode()}}, nil
		})
}

// enter adds a citizenship: persona keys sign what begins it, the vault keeps
// its keys, its store what it begins with. old is the community that it takes
// the place of, if any. The order makes a crash harmless: a
// store without a citizenship is swept away, never the other way round.
func (n *Node) enter(ms protocol.ID, name string, passphrase []byte, old *Community,
	begin func(*identity.Entropy, *vault.Daily) (store.Batch, error),
) (m Membership, err error) {
	seed, listen, err := n.closeSpare()
	if err != nil {
		return m, err
	}
	var st *store.Store
	var d vault.Daily
	err = n.vault.update(passphrase, func(c *vault.Contents) error {
		alias := aliasFor(name, func(a string) bool {
			return slices.ContainsFunc(c.Citizenships, func(x vault.Citizenship) bool { return x.Alias == a })
		})
		if i := slices.IndexFunc(c.Citizenships, func(x vault.Citizenship) bool { return protocol.ID(x.Metastate) == ms }); i >= 0 && old != nil {
			if err := n.drop(old); err != nil {
				return err
			}
			c.Citizenships = slices.Delete(c.Citizenships, i, i+1)
		} else if i >= 0 {
			return &Error{Code: "already-entered", Exit: ExitFailed, Message: "the vault holds a persona in that metastate, which this node did not take up", Hint: "restart the node"}
		}
		d = newDaily(ms, alias, seed)
		batch, err := begin(&c.Entropy, &d)
		if err != nil {
			return err
		}
		if err := n.sweep(ms); err != nil {
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

// drop closes a community that this node takes part in no more.
func (n *Node) drop(c *Community) error {
	n.mu.Lock()
	n.open = slices.DeleteFunc(slices.Clone(n.open), func(o *Community) bool { return o == c })
	n.mu.Unlock()
	return c.close()
}
