package node

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/metastate-p2p/metastate/node/internal/p2p"
	"github.com/metastate-p2p/metastate/protocol/roll"
)

// Who is told of clerks that are not there: only who waits for long, and only if
// those who are there are too few.
func TestMissingClerks(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	clerks := []seat{{Name: "Anna", Peer: "a"}, {Name: "Ben", Peer: "b"}, {Name: "Cleo"}, {Name: "Dan", Own: true}}
	on := func(peers ...string) (list []p2p.PeerStatus) {
		for _, id := range []string{"a", "b", "z"} {
			p := p2p.PeerStatus{ID: id, LastSeen: now.Add(-5 * time.Minute)}
			for _, there := range peers {
				p.Connected = p.Connected || id == there
			}
			list = append(list, p)
		}
		return list
	}
	for _, c := range []struct {
		what   string
		since  time.Duration // ago; 0: nothing waits
		peers  []p2p.PeerStatus
		detail string // has; empty: all is well
		remedy string // has
	}{
		{"nothing waits", 0, on(), "", ""},
		{"not for long", 59 * time.Second, on(), "", ""},
		{"three of four are there", time.Hour, on("a", "b"), "", ""},
		{"two are", time.Hour, on("a"), "2 records wait since 2027-01-15 07:00 UTC: of 4 clerks 3 must sign, and 2 are connected with this computer; not connected: Ben (for 5 minutes), Cleo", "ask these clerks to start their nodes"},
		{"a stranger does not count", time.Hour, on("z"), "not connected: Anna (for 5 minutes), Ben (for 5 minutes), Cleo", "metastate office recall clerk --out A,B --in C,D --reason TEXT"},
		{"nobody is", time.Hour, on(), "and 1 are connected", "see that this computer is on the internet"},
	} {
		a := awaited{Records: 2, Quorum: 3, Clerks: clerks}
		if c.since != 0 {
			a.Since = now.Add(-c.since)
		}
		detail, remedy := a.missing(c.peers, now)
		if !strings.Contains(detail, c.detail) || !strings.Contains(remedy, c.remedy) || (detail == "") != (c.detail == "") || (remedy == "") != (c.remedy == "") {
			t.Errorf("%s: %q; %q", c.what, detail, remedy)
		}
		if trouble, what := a.trouble(c.peers, now); trouble != detail || what != remedy {
			t.Errorf("%s: trouble %q; %q", c.what, trouble, what)
		}
	}
}

func TestVacantOffice(t *testing.T) {
	a := awaited{Quorum: 1, Clerks: []seat{{Name: "Anna", Gone: "has left"}, {Name: "Ben", Own: true}}}
	if detail, remedy := a.vacant(); detail != "" || remedy != "" {
		t.Errorf("Ben is a clerk: %q; %q", detail, remedy)
	}
	a.Clerks = a.Clerks[:1]
	detail, remedy := a.vacant()
	if !strings.Contains(detail, "Anna has left") || !strings.Contains(remedy, "metastate office appoint clerk PERSONA") {
		t.Errorf("%q; %q", detail, remedy)
	}
	if got := a.succession(); strings.Contains(got, "--out") {
		t.Errorf("who holds no office is to lose it: %s", got)
	}
}

// The only clerk's computer goes off: after a minute the members are told whom
// what they write waits for, by name, by status as by doctor.
func TestTheOnlyClerkIsOff(t *testing.T) {
	if underRace {
		t.Skip("whole hosts in virtual time run without the race detector")
	}
	synctest.Test(t, func(t *testing.T) {
		v := newVillage(t, 2)
		clerk, c := v.all[0], v.all[1]
		v.eventually(time.Minute, "all equal", v.equal)
		name := clerk.Snapshot().Final.Roll().Member(clerk.Persona()).Name
		v.eventually(time.Minute, "whose the peer is", func() bool {
			peers := c.Peers()
			return len(peers) == 1 && peers[0].Member != nil && peers[0].Member.Name == name && peers[0].Member.Persona == clerk.Persona()
		})
		if err := v.nodes[0].Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Propose(t.Context(), ProposeRequest{Title: "Us", ClosesIn: time.Hour}); err != nil {
			t.Fatal(err)
		}
		if got := c.Status().Trouble; got != "" {
			t.Errorf("at once: %s", got)
		}
		v.eventually(2*time.Minute, "the trouble is told", func() bool {
			return strings.Contains(c.Status().Trouble, "1 record waits since") && strings.Contains(c.Status().Trouble, "not connected: "+name)
		})
		made := c.Proposals().Proposals[0].Proposal.String()
		if _, err := c.Vote(t.Context(), made, "yes"); err == nil || !strings.Contains(err.Error(), "not connected: "+name) {
			t.Errorf("a vote on what waits: %v", err)
		}
		check := examineFinality(c.Snapshot(), c.awaits(), false, c.presence().Peers())
		if check.Pass || !strings.Contains(check.Detail, "of 1 clerk 1 must sign, and 0 are connected") || !strings.Contains(check.Remedy, "office recall") {
			t.Errorf("%+v", check)
		}
		if check := examineFinality(c.Snapshot(), awaited{}, true, nil); check.Pass || check.Remedy != roomRemedy {
			t.Errorf("on a full disk: %+v", check)
		}
		if err := v.nodes[1].Close(); err != nil {
			t.Error(err)
		}
	})
}

// SPEC §5.5 rule 6: the only clerk leaves, or resigns, and goes on signing: the
// others are told to appoint another.
func TestTheOnlyClerkGoes(t *testing.T) {
	if underRace {
		t.Skip("whole hosts in virtual time run without the race detector")
	}
	for words, goes := range map[string]func(*testing.T, *Community) (RecordRef, error){
		"has left":                          func(t *testing.T, c *Community) (RecordRef, error) { return c.Leave(t.Context()) },
		"does not hold the office any more": func(t *testing.T, c *Community) (RecordRef, error) { return c.Resign(t.Context(), roll.Clerk) },
	} {
		synctest.Test(t, func(t *testing.T) {
			v := newVillage(t, 2)
			clerk, c := v.all[0], v.all[1]
			v.eventually(time.Minute, "all equal", v.equal)
			if _, err := goes(t, clerk); err != nil {
				t.Fatal(err)
			}
			v.eventually(time.Minute, "it is final", func() bool { return len(c.Snapshot().Final.Roll().Holders(roll.Clerk)) == 0 })
			got := c.Status()
			if !strings.Contains(got.Trouble, words+", and signs checkpoints only until somebody is appointed") || !strings.Contains(got.Remedy, "office appoint") {
				t.Errorf("%s: %q; %q", words, got.Trouble, got.Remedy)
			}
			for _, n := range v.nodes {
				if err := n.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// A device that names another's peer does not pass for its owner: what the peer
// showed itself counts, and where nobody did, two who name it are neither.
func TestWhosePeer(t *testing.T) {
	if underRace {
		t.Skip("whole hosts in virtual time run without the race detector")
	}
	synctest.Test(t, func(t *testing.T) {
		v := newVillage(t, 2)
		anna, c := v.all[0], v.all[1]
		v.eventually(time.Minute, "all equal", v.equal)
		peer, r := anna.presence().ID(), c.replica
		v.eventually(time.Minute, "whose the peer is", func() bool { return r.people()[peer].Persona == anna.Persona() })
		for _, proven := range []bool{true, false} {
			r.mu.Lock()
			honest, own := r.bindings[anna.key.Public()], r.bindings[r.device]
			honest.proven, own.proven, own.PeerID = proven, false, []byte(peer)
			r.bindings[anna.key.Public()], r.bindings[r.device] = honest, own
			r.claims.add(peer, r.device)
			r.mu.Unlock()
			for range 32 { // in whatever order
				if who, told := r.people()[peer]; told != proven || told && who.Persona != anna.Persona() {
					t.Fatalf("proven %t: %+v", proven, who)
				}
			}
		}
		for _, n := range v.nodes {
			if err := n.Close(); err != nil {
				t.Error(err)
			}
		}
	})
}
