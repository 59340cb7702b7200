package node

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/node/internal/p2p"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/dagcbor"
	"github.com/metastate-p2p/metastate/protocol/roll"
	"github.com/metastate-p2p/metastate/store"
)

const (
	doorWait = 5 * time.Second     // a new member knocks again after it, doubled up to
	doorRest = time.Hour           // once it has met somebody; before, joinRetryMax
	doorLife = 30 * 24 * time.Hour // for which it asks at the lobbies of a link that does not expire
)

// knockAgain has a new member knock once more at the lobbies of its invite, until
// it has met somebody, and each has welcomed it but the one that did at first, or
// the invite has expired. It tells where it can be reached now, which in its
// request it could not say yet, and the others may all be behind NATs. And it
// hears from the others what one of them may have told wrongly: who welcomed it
// can give it secrets and peers of a circle of liars, and whom it then meets
// proves nothing.
func (c *Community) knockAgain(ctx context.Context, r *replica, m *p2p.Member, st *store.Store) {
	j, err := joiningAt(st, privDoor)
	if err != nil {
		return
	}
	l, err := parseLink(j.Link)
	if err != nil {
		return
	}
	c.asks(&j)
	defer c.asks(nil)
	v := visitor{replica: r, member: m, doors: j.lobbies()}
	for _, d := range v.doors {
		if d.ID != j.Greeter {
			v.others = append(v.others, d)
		}
	}
	for wait := doorWait; ; wait = min(2*wait, v.patience()) {
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		v.met = slices.ContainsFunc(m.Peers(), func(p p2p.PeerStatus) bool { return !p.LastSync.IsZero() || !p.Served.IsZero() })
		if v.met && (len(v.others) == 0 || time.Now().After(j.over(l))) {
			break
		}
		if err := c.askDoors(ctx, l, j, &v); err != nil {
			c.log.Debug("knocking again", "cause", err)
		}
	}
	if err := st.DeletePrivate(privDoor); err != nil {
		c.log.Warn("forgetting where this node was welcomed", "cause", err)
	}
}

// over is when a new member gives up hearing more lobbies of its invite.
func (j joining) over(l link) time.Time {
	if l.Expires != 0 {
		return time.Unix(l.Expires, 0)
	}
	return time.Unix(j.Since, 0).Add(doorLife)
}

// A visitor is a new member at the lobbies of its invite.
type visitor struct {
	replica *replica
	member  *p2p.Member
	doors   []p2p.Peer // all of them
	others  []p2p.Peer // those that have not welcomed it
	met     bool       // it has exchanged records with somebody
}

// patience is how long a visitor waits at most from knock to knock.
func (v *visitor) patience() time.Duration {
	if v.met {
		return doorRest
	}
	return joinRetryMax
}

// askDoors knocks at all lobbies of the invite, or once somebody was met at those
// that have not welcomed, and takes in every welcome.
func (c *Community) askDoors(ctx context.Context, l link, j joining, v *visitor) error {
	var ask joinRequest
	if err := dagcbor.Unmarshal(j.Request, &ask); err != nil {
		return err
	}
	ask.Binding = v.replica.Binding()
	req, err := dagcbor.Marshal(ask)
	if err != nil {
		return err
	}
	doors := v.doors
	if v.met {
		doors = v.others
	}
	var errs []error
	err = p2p.Knock(ctx, c.presenceConfig(c.daily.Member, nil, memberPort), doors, req, func(lobby string, raw []byte) bool {
		a, err := readAnswer(l, raw)
		if err == nil && a.Standing == roll.Full.String() {
			if err = c.heed(a, v); err == nil {
				v.others = slices.DeleteFunc(slices.Clone(v.others), func(o p2p.Peer) bool { return o.ID == lobby })
			}
		}
		errs = append(errs, err)
		return false
	})
	return errors.Join(append(errs, err)...)
}

// heed takes in a welcome that is not the first. Its epochs are held beside the
// others: as the newest while those led to nobody, else to meet members under
// them; whose they are shows in handshakes.
func (c *Community) heed(a joinAnswer, v *visitor) error {
	r := v.replica
	for _, s := range slices.Backward(a.Epochs) {
		err := error(nil)
		if v.met {
			err = r.keys.keep([32]byte(s), time.Now())
		} else {
			err = c.adoptEpoch([32]byte(s))
		}
		if err != nil {
			return err
		}
	}
	for _, wire := range a.Bindings[:min(len(a.Bindings), maxJoinPeers)] {
		b, err := identity.ParseBinding(wire)
		if err != nil || protocol.ID(b.Metastate) != c.id {
			continue
		}
		if _, err := r.addBinding(wire); err == nil || r.onRoll() {
			continue
		}
		r.befriend(string(b.PeerID)) // and once the roll comes, which says who it is:
		r.putOff(wire)
		if err := v.member.AddPeer(p2p.Peer{ID: string(b.PeerID), Addrs: b.Addrs, Bootstrap: true}); err != nil {
			c.log.Debug("a peer's address could not be used", "cause", err)
		}
	}
	return v.member.Refresh() // who is connected may be one of another epoch's
}
