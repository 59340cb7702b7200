package node

import (
	"fmt"
	"strings"
	"time"

	"github.com/metastate-p2p/metastate/node/internal/p2p"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/certificate"
	"github.com/metastate-p2p/metastate/protocol/roll"
)

// waitPatience is how long something waits to be final before a person is told
// which clerks are not there.
const waitPatience = time.Minute

// awaited is what waits to be final, and for whom. It is not changed once made,
// and kept while a community rests.
type awaited struct {
	Since   time.Time `json:"since"`   // when the first of it came to this node, or was due; zero: nothing waits
	Records int       `json:"records"` // that wait
	Quorum  int       `json:"quorum"`  // of the clerks
	Clerks  []seat    `json:"clerks"`
}

// A seat is a clerk's, as this node knows how to meet them.
type seat struct {
	Name string `json:"name"` // or the persona's id
	Peer string `json:"peer"` // transport peer of the device that signs; empty: not known
	Own  bool   `json:"own"`  // this device signs
	Gone string `json:"gone"` // why they are a clerk no more and sign only until there is another, in words; empty: they are
}

// awaits says what waits to be final, and for which clerks.
func (r *replica) awaits() awaited {
	l := r.ledger
	tip, s := l.currentTip(), l.Snapshot()
	clerks := tip.Clerks()
	if _, successors, ready := l.recall(); ready {
		clerks = successors
	}
	_, quorum := certificate.Quorum(len(clerks))
	out := awaited{Since: l.waitsSince(), Records: len(s.Open), Quorum: quorum}
	for _, k := range clerks {
		m := tip.State().Roll().Member(k.Persona)
		e := seat{Name: k.Persona.String(), Own: k.Key == r.device}
		if m != nil {
			e.Name, e.Gone = named(m), unseated(m)
		}
		r.mu.Lock()
		if b := r.bindings[k.Key]; r.inForce(b) {
			e.Peer = string(b.PeerID)
		}
		r.mu.Unlock()
		out.Clerks = append(out.Clerks, e)
	}
	return out
}

// unseated says why a clerk signs only until there is another (SPEC §5.5 rule 6).
func unseated(m *roll.Member) string {
	switch {
	case m.Standing() == roll.Left:
		return "has left"
	case m.Standing() == roll.Expelled:
		return "was expelled"
	case !m.Holds(roll.Clerk):
		return "does not hold the office any more"
	}
	return ""
}

// waitsSince is when the first record came that is not final, or the time by
// which a checkpoint was due, if that is past; zero if nothing waits.
func (l *ledger) waitsSince() (since time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range l.open {
		if since.IsZero() || r.at.Before(since) {
			since = r.at
		}
	}
	if at, ok := l.tip.State().NextDeadline(); ok {
		if due := time.Unix(at, 0); due.Before(l.now()) && (since.IsZero() || due.Before(since)) {
			since = due
		}
	}
	return since
}

// missing says that too few clerks are connected for what has waited for long,
// and what to do; empty if it is not so.
func (a awaited) missing(peers []p2p.PeerStatus, now time.Time) (detail, remedy string) {
	if a.Since.IsZero() || now.Sub(a.Since) < waitPatience {
		return "", ""
	}
	by, connected := map[string]p2p.PeerStatus{}, 0
	for _, p := range peers {
		by[p.ID] = p
		if p.Connected {
			connected++
		}
	}
	var away []string
	for _, k := range a.Clerks {
		if p := by[k.Peer]; !k.Own && (k.Peer == "" || !p.Connected) {
			away = append(away, k.Name+lastMet(p.LastSeen, now))
		}
	}
	if len(a.Clerks)-len(away) >= a.Quorum {
		return "", ""
	}
	what := "something due"
	if a.Records > 0 {
		what = Counted(a.Records, "record")
	}
	detail = fmt.Sprintf("%s waits since %s: of %s %d must sign, and %d are connected with this computer; not connected: %s", what, a.Since.UTC().Format("2006-01-02 15:04 UTC"),
		Counted(len(a.Clerks), "clerk"), a.Quorum, len(a.Clerks)-len(away), strings.Join(away, ", "))
	if a.Records > 1 {
		detail = strings.Replace(detail, " waits since", " wait since", 1)
	}
	remedy = "ask these clerks to start their nodes; if they don't come back, more than half of the members can give the office to others: " + a.succession()
	if connected == 0 {
		remedy = "see that this computer is on the internet: it is connected with nobody. If it is, " + remedy
	}
	return detail, remedy
}

// trouble is what stands in the way of finality, or will, and what to do; empty
// if nothing does.
func (a awaited) trouble(peers []p2p.PeerStatus, now time.Time) (detail, remedy string) {
	if detail, remedy = a.missing(peers, now); detail != "" {
		return detail, remedy
	}
	return a.vacant()
}

// succession is the command by which others become clerks though those in force
// sign nothing.
func (a awaited) succession() string {
	for _, k := range a.Clerks {
		if k.Gone == "" {
			return "metastate office recall clerk --out A,B --in C,D --reason TEXT"
		}
	}
	return "metastate office recall clerk --in C,D --reason TEXT"
}

// lastMet says since when somebody is not connected, if that is known.
func lastMet(at, now time.Time) string {
	if at.IsZero() {
		return ""
	}
	if d := now.Sub(at).Round(time.Minute); d >= time.Minute {
		return " (for " + InDays(d) + ")"
	}
	return " (since just now)"
}

// vacant says that nobody holds the office of clerk, and what to do; empty if it
// is not so.
func (a awaited) vacant() (detail, remedy string) {
	var list []string
	for _, k := range a.Clerks {
		if k.Gone == "" {
			return "", ""
		}
		list = append(list, k.Name+" "+k.Gone)
	}
	if len(list) == 0 {
		return "", ""
	}
	detail = "nobody holds the office of clerk: " + strings.Join(list, ", ") + ", and signs checkpoints only until somebody is appointed"
	return detail, "more than half of the members appoint another: metastate office appoint clerk PERSONA; or endorse who was proposed: metastate roll motions"
}

// awaits says what waits to be final; the zero awaited while joining. It wakes
// nothing.
func (c *Community) awaits() awaited {
	r, rest, done := c.peekReplica()
	defer done()
	switch {
	case rest != nil:
		return rest.Awaits
	case r == nil:
		return awaited{}
	}
	return r.awaits()
}

// missing says which clerks something waits for, to go on a sentence; empty if
// they are there.
func (c *Community) missing() string {
	m := c.presence()
	if m == nil {
		return ""
	}
	detail, _ := c.awaits().missing(m.Peers(), time.Now())
	if detail == "" {
		return ""
	}
	return "; " + detail
}

// people are whose computers peers are, as far as it is known. It wakes nothing.
func (c *Community) people() map[string]PeerMember {
	r, rest, done := c.peekReplica()
	defer done()
	switch {
	case rest != nil:
		return rest.People
	case r == nil:
		return nil
	}
	return r.people()
}

// people are whose computers the transport peers are that bindings name.
func (r *replica) people() map[string]PeerMember {
	owners := map[string]protocol.ID{}
	r.mu.Lock()
	for peer := range r.claims {
		if who, ok := r.owner(peer); ok {
			owners[peer] = who
		}
	}
	r.mu.Unlock()
	view, out := r.ledger.Snapshot().View.Roll(), map[string]PeerMember{}
	for peer, who := range owners {
		if m := view.Member(who); m != nil {
			out[peer] = PeerMember{Persona: who, Name: m.Name}
		}
	}
	return out
}

// owner is whose device a transport peer is: of bindings in force that name it,
// those count that it showed itself, if there are any, since a device names any
// peer it likes. Where they are several people's, nobody knows. Caller holds mu.
func (r *replica) owner(peer string) (who protocol.ID, ok bool) {
	proven := false
	for d := range r.claims[peer] {
		b := r.bindings[d]
		p := protocol.ID(b.Persona)
		switch {
		case !r.inForce(b) || proven && !b.proven:
		case b.proven && !proven, who.IsZero():
			who, ok, proven = p, true, b.proven
		case who != p:
			ok = false
		}
	}
	return who, ok
}
