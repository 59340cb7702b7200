package node

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"time"

	"github.com/metastate-p2p/metastate/node/internal/p2p"
	"github.com/metastate-p2p/metastate/node/internal/socks"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/store"
)

// A Check is one thing that was looked at, in words for people.
type Check struct {
	Name      string `json:"name"`
	Metastate string `json:"metastate,omitempty"` // its name, if the check is about one
	Pass      bool   `json:"pass"`
	Detail    string `json:"detail"`
	Remedy    string `json:"remedy"`       // empty if it passes
	ID        string `json:"id,omitempty"` // the metastate's
}

// A Checkup is all that was looked at.
type Checkup struct {
	Checks []Check `json:"checks"`
}

// Patience of the checks that ask others.
const (
	torPatience   = 10 * time.Second
	onionPatience = 45 * time.Second
)

// Doctor looks at what a running node needs. What concerns its folder alone is
// [Examine]'s.
func (n *Node) Doctor(ctx context.Context) (Checkup, error) {
	out := Checkup{Checks: []Check{{Name: "node", Pass: true, Detail: "the node is running"}}}
	if n.cfg.Ephemeral {
		out.Checks = append(out.Checks, Check{Name: "vault", Pass: true, Detail: "everything is in memory, and forgotten when the node stops"})
	}
	if n.cfg.Profile == ProfileHidden {
		out.Checks = append(out.Checks, n.cfg.Hidden.examine(ctx))
	}
	for _, c := range n.Communities() {
		name := c.Status().Name
		for _, check := range c.examine(ctx) {
			check.Metastate, check.ID = name, c.id.String()
			out.Checks = append(out.Checks, check)
		}
	}
	return out, ctx.Err()
}

// examine looks at the proxy.
func (h Hidden) examine(ctx context.Context) Check {
	ctx, cancel := context.WithTimeout(ctx, torPatience)
	defer cancel()
	if e := h.reach(ctx); e != nil {
		return Check{Name: "tor", Detail: e.Message, Remedy: e.Hint}
	}
	return Check{Name: "tor", Pass: true, Detail: "Tor answers at " + h.socks()}
}

// examine looks at all that there is of a metastate on this node, which it wakes
// if it is at rest.
func (c *Community) examine(ctx context.Context) (out []Check) {
	awaits := c.awaits() // before it is woken, which forgets since when
	release, err := c.Hold()
	if err != nil {
		return []Check{{Name: "store", Detail: "what is stored can't be opened: " + err.Error(), Remedy: "start the node again: it rebuilds what is sound, and peers bring the rest"}}
	}
	defer release()
	c.mu.Lock()
	m, l, r, st := c.member, c.lobby, c.replica, c.store
	c.mu.Unlock()
	out = append(out, examineStore(ctx, st))
	if m == nil {
		return append(out, c.examineJoining())
	}
	peers, full := m.Peers(), st.Full() != nil
	knock := c.net.cfg.Profile != ProfileHidden // a hidden node opens no socket but to the proxy
	h := m.Health(ctx, knock)
	among, atDoor := m.Metrics(), p2p.Metrics{}
	if l != nil {
		atDoor = l.Metrics()
		lobby := l.Health(ctx, knock)
		h.Deaf, h.Listens = append(h.Deaf, lobby.Deaf...), h.Listens+lobby.Listens
	}
	out = append(out, examineListening(h))
	if c.net.cfg.Profile == ProfileHidden {
		out = append(out, c.net.onion.examine(ctx, c.net.cfg.Hidden))
	} else {
		out = append(out, examineReach(h, c.net.cfg.Profile, peers), examineRelays(h, c.net.cfg.Profile, among.Relay, atDoor.Relay))
	}
	return append(out, examinePeers(peers, c.people(), c.net.cfg.Profile, time.Now()), c.examineClock(r), examineGossip(among), examineSync(among, full),
		examineStrangers(among, atDoor), examineFinality(c.Snapshot(), awaits, full, peers), c.examineGuardians())
}

func (c *Community) examineJoining() Check {
	s := c.status()
	if s.Trouble == "" {
		return Check{Name: "joining", Pass: true, Detail: "this node is asking to be let in, and goes on by itself"}
	}
	return Check{Name: "joining", Detail: s.Trouble, Remedy: s.Remedy}
}

// roomRemedy is what to do when nothing can be stored.
const roomRemedy = "make room on this disk"

// examineFinality says whether what is written becomes final, and if not why.
func examineFinality(s *Snapshot, a awaited, full bool, peers []p2p.PeerStatus) Check {
	fails := func(detail, remedy string) Check { return Check{Name: "finality", Detail: detail, Remedy: remedy} }
	if s.Trouble != nil {
		return fails(s.Trouble.Error(), "metastate dispute show")
	}
	if full {
		return fails(fmt.Sprintf("the disk is full, so that nothing new can be stored: this node gets no further than checkpoint %d", s.Ref.Height), roomRemedy)
	}
	if detail, remedy := a.trouble(peers, time.Now()); detail != "" {
		return fails(detail, remedy)
	}
	return Check{Name: "finality", Pass: true, Detail: fmt.Sprintf("checkpoint %d is the latest, and %s not final yet", s.Ref.Height, areCounted(len(s.Open), "record"))}
}

// examineGuardians says whether somebody wants another key for this persona.
func (c *Community) examineGuardians() Check {
	if warning := c.Snapshot().warning(c.Persona()); warning != "" {
		return Check{Name: "guardians", Detail: warning, Remedy: "if that is not what you want: metastate rotate"}
	}
	return Check{Name: "guardians", Pass: true, Detail: "nobody asks for another key for your persona"}
}

// examineStore reads everything that the store holds.
func examineStore(ctx context.Context, st *store.Store) Check {
	const remedy = "stop the node, copy its folder to another disk, and start it: it rebuilds what is sound, and peers bring the rest; a disk that fails again should be replaced"
	r, err := st.Verify(ctx)
	switch {
	case ctx.Err() != nil:
		return Check{Name: "store", Detail: "there was no time to read all of it", Remedy: "give it longer with --wait"}
	case err != nil:
		return Check{Name: "store", Detail: "what is stored could not be read: " + err.Error(), Remedy: remedy}
	case !r.OK():
		return Check{Name: "store", Detail: fmt.Sprintf("what is stored is damaged: %s, %s and %s", Counted(len(r.Damaged)+int(r.Unnamed), "record"), Counted(len(r.Checkpoints), "checkpoint"), Counted(len(r.Problems)+len(r.Chunks), "other entry")), Remedy: remedy}
	}
	return Check{Name: "store", Pass: true, Detail: fmt.Sprintf("all %s are as they were stored", Counted(int(r.Records), "record"))}
}

func examineListening(h p2p.Health) Check {
	if len(h.Deaf) > 0 {
		return Check{
			Name: "listening", Detail: "nothing takes connections at " + strings.Join(h.Deaf, ", "),
			Remedy: "see that no firewall of this computer stands before it, and start the node again",
		}
	}
	if h.Listens == 0 {
		return Check{Name: "listening", Pass: true, Detail: "this node listens nowhere: it only reaches others"}
	}
	return Check{Name: "listening", Pass: true, Detail: fmt.Sprintf("this node listens at %s, and takes connections", addressesCounted(h.Listens))}
}

// examine asks Tor for the way to the onion service, and back to here.
func (o onion) examine(ctx context.Context, h Hidden) Check {
	if o.address == "" {
		return Check{Name: "reachability", Pass: true, Detail: "this node has no onion service here: it reaches others, and nobody reaches it"}
	}
	ctx, cancel := context.WithTimeout(ctx, onionPatience)
	defer cancel()
	for _, port := range []uint16{o.port + lobbyPort, o.port + memberPort} {
		conn, err := socks.Proxy{Addr: h.socks(), User: rand.Text()}.Dial(ctx, o.address+".onion", port)
		if err != nil {
			return Check{
				Name: "reachability", Detail: fmt.Sprintf("through Tor nothing answers at %s.onion:%d", o.address, port),
				Remedy: fmt.Sprintf("see that torrc has: HiddenServicePort %d 127.0.0.1:%d, and start Tor again; a new service takes some minutes to be found", port, port),
			}
		}
		_ = conn.Close()
	}
	return Check{Name: "reachability", Pass: true, Detail: "the onion service leads here"}
}

// examineReach says whether others can begin a connection.
func examineReach(h p2p.Health, p Profile, peers []p2p.PeerStatus) Check {
	pass := func(detail string) Check { return Check{Name: "reachability", Pass: true, Detail: detail} }
	switch {
	case h.Reached:
		return pass("others reach this computer directly")
	case h.Public:
		return pass("this computer has an address that the whole internet can reach, if no firewall stands before it; nobody has come by it yet")
	case p == ProfileRelay:
		return Check{
			Name: "reachability", Detail: "this relay has no address that the whole internet can reach, and nobody from elsewhere is connected",
			Remedy: "run a relay on a server with a public address, and open its ports in the firewall",
		}
	case h.Relays > 0:
		return pass("this computer is behind a router that lets nobody in, and reached by way of relays")
	case h.Near:
		return pass("this node listens for this computer alone, as it was told to")
	case len(peers) == 0:
		return pass("nobody else's computer is known yet; whether others can reach this one is not known")
	}
	return Check{
		Name: "reachability", Detail: "this computer is behind a router that lets nobody in, and no relay is there: it reaches others, and others don't reach it",
		Remedy: "ask a member with a server to be a relay: the other side runs metastate run --profile relay; or have your router forward a port, and give it with --listen",
	}
}

// Bounds of what is told of peers, and of what is taken for being in touch.
const (
	maxPeersTold = 8
	outOfTouch   = 30 * time.Minute
)

// examinePeers says who is connected, how, and when something was last
// exchanged.
func examinePeers(peers []p2p.PeerStatus, people map[string]PeerMember, profile Profile, now time.Time) Check {
	var told []string
	connected, last := 0, time.Time{}
	for _, p := range peers {
		at := p.LastSync
		if p.Served.After(at) {
			at = p.Served
		}
		if at.After(last) {
			last = at
		}
		if !p.Connected {
			continue
		}
		connected++
		how := "directly"
		if !p.Direct {
			how = "by way of a relay"
		}
		if len(told) < maxPeersTold {
			told = append(told, fmt.Sprintf("%s %s, %s", called(p.ID, people), how, ago(at, now)))
		}
	}
	if len(peers) == 0 {
		return Check{Name: "peers", Pass: true, Detail: "nobody else's computer is known yet"}
	}
	detail := fmt.Sprintf("%d of %s known connected", connected, Counted(len(peers), "computer"))
	if len(told) > 0 {
		detail += ": " + strings.Join(told, "; ")
	}
	if connected > len(told) {
		detail += fmt.Sprintf("; and %d more", connected-len(told))
	}
	switch {
	case connected == 0:
		remedy := "see that this computer is on the internet; others may be off; "
		if profile == ProfileMember { // others never show themselves there
			remedy += "in the same room: metastate nearby; "
		}
		return Check{Name: "peers", Detail: detail, Remedy: remedy + "by a file: metastate bundle export --out FILE"}
	case now.Sub(last) > outOfTouch:
		return Check{Name: "peers", Detail: detail, Remedy: "metastate sync now; if that brings nothing, start the node again"}
	}
	return Check{Name: "peers", Pass: true, Detail: detail}
}

// called is whose computer a peer is, and the end of its id.
func called(peer string, people map[string]PeerMember) string {
	short := "…" + peer[max(0, len(peer)-6):]
	if who := people[peer].Name; who != "" {
		return who + " (" + short + ")"
	}
	return short
}

// examineClock compares the clock with what a quorum, or several members, say.
func (c *Community) examineClock(r *replica) Check {
	s := c.Snapshot()
	if s.Final.Roll().Size() == 1 {
		return Check{Name: "clock", Pass: true, Detail: "there is nobody else yet to compare this computer's clock with"}
	}
	members := map[protocol.ID]int64{}
	r.mu.Lock()
	for device, b := range r.bindings {
		if device != r.device {
			members[protocol.ID(b.Persona)] = max(members[protocol.ID(b.Persona)], b.Issued)
		}
	}
	r.mu.Unlock()
	delete(members, c.Persona())
	var signed []int64
	for _, at := range members {
		signed = append(signed, at)
	}
	return r.clock.judge(time.Now(), s.Final.AsOf(), signed)
}

func ago(at, now time.Time) string {
	if at.IsZero() {
		return "nothing exchanged yet"
	}
	d := now.Sub(at).Round(time.Minute)
	if d < time.Minute {
		return "exchanged just now"
	}
	return "exchanged " + InDays(d) + " ago"
}

func areCounted(n int, thing string) string {
	if n == 1 {
		return "1 " + thing + " is"
	}
	return Counted(n, thing) + " are"
}

func addressesCounted(n int) string {
	if n == 1 {
		return "1 address"
	}
	return fmt.Sprintf("%d addresses", n)
}
