package node

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/identity/vault"
	"github.com/metastate-p2p/metastate/node/internal/p2p"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/dagcbor"
	"github.com/metastate-p2p/metastate/protocol/roll"
	"github.com/metastate-p2p/metastate/store"
)

// maxMoreLinks bounds the links whose lobbies are asked besides those of the
// latest.
const maxMoreLinks = 3

// joinAgain goes on by another link, or as another name, with a joining that is
// not over: at the link's lobbies, too, and with an application under its invite
// unless the one before was taken. For a member nothing changes.
func (n *Node) joinAgain(c *Community, l link, req JoinRequest) (Membership, error) {
	j, pending := c.pending()
	if !pending || j.Plea != "" {
		return c.joinedAgain(req.As)
	}
	before, err := parseLink(j.Link)
	if err != nil {
		return Membership{}, err
	}
	name := j.asksAs()
	as := cmp.Or(req.As, name)
	switch {
	case j.Taken && as != name:
		return c.membership(), calledAlready(name)
	case j.Link == l.String() && as == name:
		return c.membership(), nil
	case !j.Dead && as == name && (j.Taken || bytes.Equal(before.Secret, l.Secret)):
		return c.membership(), c.goOnWith(l)
	}
	return n.applyAnew(c, l, as, req)
}

// joinedAgain answers who asks again to join, which changes nothing.
func (c *Community) joinedAgain(as string) (Membership, error) {
	m := c.membership()
	s := c.Snapshot()
	if s == nil {
		return m, nil
	}
	who := s.View.Roll().Member(m.Persona)
	if who == nil {
		return m, nil
	}
	switch standing := who.Standing(); {
	case standing == roll.Left, standing == roll.Expelled:
		return m, refuse("your persona has "+gone[standing]+" this metastate: no invite brings it back, only a decision of the members",
			"ask a member: metastate propose open --admit "+m.Persona.String())
	case as != "" && as != who.Name:
		return m, calledAlready(who.Name)
	}
	return m, nil
}

func (c *Community) membership() Membership {
	s := c.Status()
	return Membership{Metastate: s.ID, Persona: s.Persona, Standing: s.Standing}
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

// pending is how far joining got, if it is not over.
func (c *Community) pending() (j joining, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.joining == nil || c.joining.Step == stepVerified {
		return j, false
	}
	return *c.joining, true
}

// asksAs is the name in the request by which a node joins.
func (j joining) asksAs() string {
	var ask joinRequest
	if dagcbor.Unmarshal(j.Request, &ask) != nil {
		return ""
	}
	r, err := protocol.Parse(ask.Inception)
	if err != nil {
		return ""
	}
	in, err := protocol.Body[identity.Inception](r)
	if err != nil {
		return ""
	}
	return in.Name
}

// of is the joining of a persona: the next, if that is whose it is.
func (j joining) of(persona protocol.ID) joining {
	var next joining
	var ask joinRequest
	if len(j.Next) > 0 && dagcbor.Unmarshal(j.Next, &next) == nil && dagcbor.Unmarshal(next.Request, &ask) == nil {
		if g, err := protocol.Parse(ask.Grant); err == nil && g.Header().Persona == persona {
			return next
		}
	}
	j.Next = nil
	return j
}

// follow has a joining go on by another link.
func (j *joining) follow(l link) {
	text := l.String()
	older := append([]string{j.Link}, j.More...)
	older = slices.DeleteFunc(older, func(o string) bool { return o == text })
	j.Link, j.More = text, older[:min(len(older), maxMoreLinks)]
}

// lobbies are those of all its links, the latest link's first. An older link
// says no more where a lobby of a later one is.
func (j joining) lobbies() (out []p2p.Peer) {
	for _, text := range append([]string{j.Link}, j.More...) {
		l, err := parseLink(text)
		if err != nil {
			continue
		}
		for _, p := range l.peers() {
			if !slices.ContainsFunc(out, func(o p2p.Peer) bool { return o.ID == p.ID }) {
				out = append(out, p)
			}
		}
	}
	return out
}

// goOnWith asks at once at the lobbies of another link, too, with the same
// application.
func (c *Community) goOnWith(l link) error {
	var now joining
	err := c.noteJoin(func(j *joining) {
		if j.Step != stepVerified {
			j.follow(l)
		}
		if !j.Dead { // else nobody asks any more, who would close it
			c.tried = make(chan struct{})
		}
		now = *j
	})
	if err != nil || now.Link == "" { // a member by now
		return err
	}
	c.asks(&now)
	c.mu.Lock()
	hurry := c.hurry
	c.mu.Unlock()
	if hurry != nil {
		hurry()
	}
	return nil
}

// applyAnew puts an application of another persona in the place of one that
// nobody took, as far as is known: an inception is signed by the invite's key, and
// its id is the persona's. Keys are others than any that the one before showed, so
// that who has a copy of it can do nothing about the new one.
func (n *Node) applyAnew(c *Community, l link, as string, req JoinRequest) (m Membership, err error) {
	if err := checkPresence(req.Presence); err != nil {
		return m, err
	}
	var next vault.Daily
	st, err := n.halted(c, req.Passphrase, func(v *vault.Contents, i int, old joining, st *store.Store) error {
		was := c.daily
		seed := random32()
		if was.Presence == "" { // its lobby's address may be known
			seed = [32]byte(was.Lobby)
		}
		next = newDaily(c.id, was.Alias, seed)
		next.StoreKey, next.Index = was.StoreKey, was.Index+1
		settle(&next, cmp.Or(req.Presence, was.Presence), slices.Delete(slices.Clone(v.Citizenships), i, i+1))
		j, err := apply(&v.Entropy, &next, l, as, time.Now())
		if err != nil {
			return err
		}
		j.More = append([]string{old.Link}, old.More...)
		j.follow(l)
		// Stored with the one before until the vault is written: which of them
		// goes on after a crash, the vault's persona says.
		old.Next = j.encode()
		if err := st.PutPrivate(privJoin, old.encode()); err != nil {
			return storeError(err)
		}
		v.Citizenships[i] = vault.Citizenship{Daily: next}
		return nil
	})
	if err != nil {
		return m, err
	}
	if c, err = n.begin(next, st, c.net.lobby); err != nil {
		return m, err
	}
	return c.membership(), nil
}

// GiveUp ends a joining that is not over, and forgets the metastate: persona, keys
// and what is stored. Nobody else is told.
func (n *Node) GiveUp(_ context.Context, ref string, req GiveUpRequest) error {
	n.joinMu.Lock()
	defer n.joinMu.Unlock()
	c, err := n.Community(ref)
	if err != nil {
		return err
	}
	if _, pending := c.pending(); !pending {
		return refuse("joining is over: there is nothing to give up", "metastate leave")
	}
	st, err := n.halted(c, req.Passphrase, func(v *vault.Contents, i int, _ joining, _ *store.Store) error {
		v.Citizenships = slices.Delete(v.Citizenships, i, i+1)
		return nil
	})
	if err != nil {
		return err
	}
	err = errors.Join(st.Close(), n.sweep(c.id))
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.open) == 0 && !n.closed {
		err = errors.Join(err, n.openSpare())
	}
	return err
}

// halted stops a community that is joining, and has change say what the vault is
// to have of it at index i. It returns the community's store, open; if anything
// fails the community goes on as it was, on it.
func (n *Node) halted(c *Community, passphrase []byte, change func(v *vault.Contents, i int, j joining, st *store.Store) error) (st *store.Store, err error) {
	var failed error
	err = n.vault.update(passphrase, func(v *vault.Contents) error {
		i := citizenshipIn(v, c.id)
		if i < 0 {
			return &Error{Code: "failed", Exit: ExitFailed, Message: "the vault holds no persona in that metastate any more", Hint: "restart the node"}
		}
		n.unlist(c)
		st, failed = c.surrender()
		if failed != nil {
			return failed
		}
		j, err := joiningAt(st, privJoin)
		if errors.Is(err, store.ErrNotFound) {
			return refuse("you have just become a member", "metastate status")
		}
		if err != nil {
			return err
		}
		return change(v, i, j.of(c.Persona()), st)
	})
	if err == nil || st == nil {
		return st, err
	}
	if _, again := n.begin(c.daily, st, c.net.lobby); again != nil {
		err = errors.Join(err, again)
	}
	return nil, err
}

// unlist takes a community off those that this node takes part in.
func (n *Node) unlist(c *Community) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.open = slices.DeleteFunc(slices.Clone(n.open), func(o *Community) bool { return o == c })
}

// surrender closes the community but for its store, which it gives away.
func (c *Community) surrender() (*store.Store, error) {
	defer c.key.Erase()
	err := c.halt()
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.store, err
}

// citizenshipIn is where the vault has a metastate, -1 if nowhere.
func citizenshipIn(v *vault.Contents, ms protocol.ID) int {
	return slices.IndexFunc(v.Citizenships, func(x vault.Citizenship) bool { return protocol.ID(x.Metastate) == ms })
}
