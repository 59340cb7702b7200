package node

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/metastate-p2p/metastate/node/internal/p2p"
)

// What the clock is judged by: times that a quorum signed, or more than one
// member's clock.
func TestClockwatch(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	at := func(d time.Duration) int64 { return now.Add(d).Unix() }
	for _, c := range []struct {
		what   string
		late   []time.Duration
		latest int64
		signed []int64
		want   string // of the detail; it begins with ! where the check fails
	}{
		{"nothing", nil, at(-time.Hour), nil, "nothing yet to compare"},
		{"bindings of before", nil, at(-time.Hour), []int64{at(-time.Hour)}, "is not behind"},
		{"in step", []time.Duration{time.Second, time.Hour}, at(-time.Minute), nil, "agrees"},
		{"one late message", []time.Duration{time.Hour}, at(-time.Hour), nil, "agrees"},
		{"ahead", []time.Duration{time.Hour, time.Hour + time.Minute}, at(-time.Hour), nil, "!1 hour ahead"},
		{"behind a checkpoint held", nil, at(10 * time.Minute), nil, "!at least 10 minutes behind"},
		{"behind one heard", []time.Duration{-3 * time.Minute}, at(-time.Hour), nil, "!at least 3 minutes behind"},
		{"one member says it is later", nil, at(-time.Hour), []int64{at(time.Hour)}, "is not behind"},
		{"a third says so", nil, at(-time.Hour), []int64{at(time.Hour), at(time.Hour), 0, 0, 0, 0}, "is not behind"},
		{"more than a third", nil, at(-time.Hour), []int64{at(time.Hour), at(time.Hour), 0, 0, 0}, "!2 of 5 members"},
	} {
		w := &clockwatch{}
		for _, d := range c.late {
			w.note(now.Add(-d).Unix(), now)
		}
		got := w.judge(now, c.latest, c.signed)
		want, fails := strings.CutPrefix(c.want, "!")
		if got.Pass == fails || !strings.Contains(got.Detail, want) || got.Pass != (got.Remedy == "") {
			t.Errorf("%s: %+v", c.what, got)
		}
	}
}

// Whatever one member signs, and however long peers hold back checkpoints of a
// quorum, a clock that is right is not called wrong while one came in time.
func TestClockwatchBelievesNoPeer(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	rapid.Check(t, func(t *rapid.T) {
		w := &clockwatch{}
		for range rapid.IntRange(0, 3*clockSamples).Draw(t, "held back") {
			w.note(now.Add(-time.Duration(rapid.Int64Range(0, 1e15).Draw(t, "by"))).Unix(), now)
		}
		w.note(now.Add(-time.Second).Unix(), now)
		honest := make([]int64, rapid.IntRange(0, 9).Draw(t, "members"))
		for i := range honest {
			honest[i] = now.Unix() - rapid.Int64Range(0, 1e6).Draw(t, "ago")
		}
		liar := rapid.Int64Range(0, 1<<40).Draw(t, "liar")
		if got := w.judge(now, now.Unix()-1, append(honest, liar)); !got.Pass {
			t.Fatalf("%+v", got)
		}
		if len(w.late) > clockSamples {
			t.Fatalf("%d are kept", len(w.late))
		}
	})
}

func TestExamineReach(t *testing.T) {
	known := []p2p.PeerStatus{{ID: "x"}}
	for _, c := range []struct {
		health  p2p.Health
		profile Profile
		peers   []p2p.PeerStatus
		pass    bool
		words   string
	}{
		{p2p.Health{Reached: true}, ProfileMember, known, true, "reach this computer directly"},
		{p2p.Health{Public: true}, ProfileMember, known, true, "whole internet can reach"},
		{p2p.Health{Relays: 2}, ProfileMember, known, true, "by way of relays"},
		{p2p.Health{Near: true}, ProfileMember, known, true, "this computer alone"},
		{p2p.Health{}, ProfileMember, nil, true, "not known"},
		{p2p.Health{}, ProfileMember, known, false, "no relay is there"},
		{p2p.Health{Near: true}, ProfileRelay, nil, false, "this relay has no address"},
		{p2p.Health{Public: true}, ProfileRelay, nil, true, "whole internet can reach"},
	} {
		got := examineReach(c.health, c.profile, c.peers)
		if got.Pass != c.pass || !strings.Contains(got.Detail, c.words) || got.Pass != (got.Remedy == "") {
			t.Errorf("%+v: %+v", c, got)
		}
	}
}

func TestExaminePeers(t *testing.T) {
	now := time.Now()
	peer := func(connected, direct bool, ago time.Duration) p2p.PeerStatus {
		return p2p.PeerStatus{ID: "12D3KooWabcdef", Connected: connected, Direct: direct, LastSync: now.Add(-ago)}
	}
	many := make([]p2p.PeerStatus, 20)
	for i := range many {
		many[i] = peer(true, true, 0)
	}
	for _, c := range []struct {
		peers []p2p.PeerStatus
		pass  bool
		words string
	}{
		{nil, true, "nobody else"},
		{[]p2p.PeerStatus{peer(true, false, 5*time.Minute), peer(false, false, 0)}, true, "1 of 2 computers known connected: …abcdef by way of a relay, exchanged 5 minutes ago"},
		{[]p2p.PeerStatus{{ID: "12D3KooWabcdef", Connected: true, Direct: true}}, false, "nothing exchanged yet"},
		{[]p2p.PeerStatus{peer(true, true, time.Hour)}, false, "exchanged 1 hour ago"},
		{[]p2p.PeerStatus{peer(false, false, 0)}, false, "0 of 1 computer known"},
		{many, true, "; and 12 more"},
	} {
		got := examinePeers(c.peers, nil, ProfileMember, now)
		if got.Pass != c.pass || !strings.Contains(got.Detail, c.words) || got.Pass != (got.Remedy == "") {
			t.Errorf("%+v: %+v", c.peers, got)
		}
	}
}

func TestExamineGossip(t *testing.T) {
	var m p2p.Metrics
	m.Gossip.SentF, m.Gossip.ReceivedF, m.Loss.OutM, m.Loss.InM = 500, 500, 50, 50
	if got := examineGossip(m); !got.Pass || !strings.Contains(got.Detail, "1000 messages were sent or came, and 100 were dropped") {
		t.Errorf("%+v", got)
	}
	m.Loss.QueueF = 1
	if got := examineGossip(m); got.Pass || got.Remedy == "" || !strings.HasSuffix(got.Detail, "101 were dropped: 1 before they were sent, 50 on the way to a slow peer, 50 because this computer was too slow") {
		t.Errorf("%+v", got)
	}
}

// A person is told of everything that is counted.
func TestExamineTraffic(t *testing.T) {
	m := p2p.Metrics{Dials: 4, Failures: 1, Refused: 2}
	m.Sync = p2p.SyncMetrics{Sessions: 20, Failed: 10, Served: 5, ServedFailed: 3, Misbehaved: 1}
	m.Relay = p2p.RelayMetrics{Reservations: 1, Circuits: 2, Open: 1, Refused: 3, Bytes: 1_500_000}
	door := p2p.Metrics{Knocks: 7, Declined: 6, Relay: m.Relay}
	for words, got := range map[string]Check{
		"of 20 exchanges begun here 10 failed, and of 8 that others began 3; 1 of 4 calls to other computers went unanswered, as those to one that is off do; 1 exchange was ended": examineSync(m, false),
		"7 knocks were answered at the door and 6 turned away; 2 connections were refused":                                                                                          examineStrangers(m, door),
		"a relay for others: 2 places and 4 connections through it given, 2 of these open now, 6 requests refused, and 3.0 MB carried":                                              examineRelays(p2p.Health{}, ProfileRelay, m.Relay, door.Relay),
		"2 relays kept for this node": examineRelays(p2p.Health{Relays: 2}, ProfileMember, m.Relay, door.Relay),
	} {
		if !got.Pass || got.Remedy != "" || !strings.Contains(got.Detail, words) {
			t.Errorf("%s: %+v", words, got)
		}
	}
	m.Sync.Failed++
	if got := examineSync(m, false); got.Pass || got.Remedy == "" {
		t.Errorf("%+v", got)
	}
	if got := examineSync(m, true); got.Pass || got.Remedy != roomRemedy || !strings.Contains(got.Detail, "the disk is full") {
		t.Errorf("on a full disk: %+v", got)
	}
}

// Whose computer is on is told by name.
func TestExaminePeersByName(t *testing.T) {
	now := time.Now()
	on := []p2p.PeerStatus{{ID: "12D3KooWabcdef", Connected: true, Direct: true, LastSync: now}}
	got := examinePeers(on, map[string]PeerMember{"12D3KooWabcdef": {Name: "Anna"}}, ProfileMember, now)
	if want := "1 of 1 computer known connected: Anna (…abcdef) directly, exchanged just now"; got.Detail != want {
		t.Errorf("%+v", got)
	}
	on[0].Connected = false
	for profile, nearby := range map[Profile]bool{ProfileMember: true, ProfileRelay: false, ProfileHidden: false} {
		got := examinePeers(on, nil, profile, now)
		if got.Pass || strings.Contains(got.Remedy, "nearby") != nearby || !strings.Contains(got.Remedy, "bundle export --out FILE") {
			t.Errorf("%v: %+v", profile, got)
		}
	}
}

// What a folder must not be.
func TestExamine(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "node")
	find := func(name string) Check {
		for _, c := range Examine(dir) {
			if c.Name == name {
				return c
			}
		}
		t.Fatalf("no check %s", name)
		return Check{}
	}
	if c := find("folder"); c.Pass {
		t.Errorf("%+v", c)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if c := find("vault"); c.Pass || !find("folder").Pass || !find("disk").Pass {
		t.Errorf("%+v", Examine(dir))
	}
	if err := os.Mkdir(VaultPath(dir), 0o700); err != nil {
		t.Fatal(err)
	}
	if c := find("vault"); c.Pass || !strings.Contains(c.Detail, "not a file") {
		t.Errorf("%+v", c)
	}
}

// A checkpoint that comes by gossip is compared with the clock, and a port that
// takes no connections is found out.
func TestDoctor(t *testing.T) {
	loopback := []string{"/ip4/127.0.0.1/tcp/0"}
	na := mustOpen(t, Config{Ephemeral: true, Listen: loopback})
	nb := mustOpen(t, Config{Ephemeral: true, Listen: loopback})
	a := foundAs(t, na, "Free Coders", "Anna")
	b, _ := enterBy(t, nb, a, "Boris")
	for heard := false; !heard; {
		height := b.Status().Checkpoint.Height
		if _, err := a.CreateInvite(t.Context(), InviteRequest{}); err != nil {
			t.Fatal(err)
		}
		await(t, b, "the invite is final", func() bool { return b.Status().Checkpoint.Height > height })
		heard = strings.Contains(b.examineClock(b.replica).Detail, "agrees with the clerks'")
	}
	out, err := nb.Doctor(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range out.Checks {
		if !c.Pass {
			t.Errorf("%+v", c)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if h := b.presence().Health(ctx, true); len(h.Deaf) != h.Listens || h.Listens == 0 {
		t.Errorf("connections that can't be made: %+v", h)
	}
	if h := b.presence().Health(ctx, false); len(h.Deaf) != 0 || !h.Near || h.Public || h.Reached {
		t.Errorf("%+v", h)
	}
	if c := examineListening(p2p.Health{Listens: 1, Deaf: []string{"/ip4/127.0.0.1/tcp/1"}}); c.Pass || !strings.Contains(c.Detail, "/ip4/127.0.0.1/tcp/1") {
		t.Errorf("%+v", c)
	}
	if _, err := nb.Doctor(ctx); err == nil {
		t.Error("a checkup that was cut short is told as whole")
	}
}
