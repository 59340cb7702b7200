package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Machines behind NATs of two kinds found a metastate, join it, vote and agree
// through relays that fail, and through a partition.
func TestBehindNATs(t *testing.T) {
	if os.Getenv(bedEnv) == "" {
		t.Parallel()
		inOwnWorld(t, "TestBehindNATs")
		return
	}
	b := newBed(t)
	b.onNet("relay1", 11)
	b.onNet("relay2", 12)
	b.atHome("anna", 21, "masquerade")
	b.atHome("ben", 22, "masquerade")
	b.atHome("cleo", 23, "masquerade fully-random")
	b.atHome("dora", 24, "masquerade fully-random")
	s := story{bed: b}
	s.found()
	s.join()
	s.punch()
	s.vote()
	s.loseRelay()
	s.part()
}

// A story is who lives in the bed.
type story struct {
	*bed
	relay1, relay2, anna, ben, cleo, dora *resident
}

func (s *story) all() []*resident {
	return []*resident{s.relay1, s.relay2, s.anna, s.ben, s.cleo, s.dora}
}

var relayFlags = []string{
	"--profile", "relay", "--listen", "/ip4/0.0.0.0/tcp/4001", "--listen", "/ip4/0.0.0.0/udp/4001/quic-v1", "--listen", "/ip4/0.0.0.0/tcp/4101/ws",
}

// found has Anna found from behind her NAT, and the first relay's person, whom she
// can't reach but through the relay itself, join by her invite.
func (s *story) found() {
	s.relay1 = s.live("relay1", relayFlags...)
	for _, has := range []string{"/tcp/4001/", "/udp/4001/quic-v1/", "/tcp/4101/ws/"} {
		if !strings.Contains(strings.Join(s.relay1.at, " "), "/ip4/20.0.0.11"+has) {
			s.t.Errorf("the relay does not listen on %s: %v", has, s.relay1.at)
		}
	}
	s.anna = s.live("anna", "--relay", s.relay1.at[0])
	s.anna.do("found", "Valley", "--as", "Anna", "--wait", "20s")
	s.relay1.do("join", s.invite(), "--as", "Rita", "--wait", "60s")
	s.log("the first relay has joined through itself")
}

func (s *story) invite() string {
	return s.anna.do("invite", "create", "--uses", "4")["link"].(string)
}

func (s *story) join() {
	s.relay2 = s.live("relay2", relayFlags...)
	s.relay2.do("join", s.invite(), "--as", "Rolf", "--wait", "60s")
	link := s.invite()
	s.ben, s.cleo, s.dora = s.live("ben"), s.live("cleo"), s.live("dora")
	for who, r := range map[string]*resident{"Ben": s.ben, "Cleo": s.cleo, "Dora": s.dora} {
		r.do("join", link, "--as", who, "--wait", "60s")
	}
	for _, r := range s.all() {
		r.await("knows six members", 60*time.Second, func(d map[string]any) bool { return len(list(d, "members")) == 6 }, "roll", "list")
	}
}

func list(d map[string]any, field string) []map[string]any {
	var out []map[string]any
	items, _ := d[field].([]any)
	for _, x := range items {
		out = append(out, x.(map[string]any))
	}
	return out
}

// connections counts those of a node's peers that are direct and that are not,
// and tells which addresses the direct ones have.
func connections(d map[string]any) (direct, relayed int, at string) {
	for _, p := range list(d, "peers") {
		switch {
		case p["connected"] != true:
		case p["direct"] == true:
			direct++
			at += fmt.Sprint(p["address"], " ")
		case strings.Contains(fmt.Sprint(p["address"]), "/p2p-circuit"):
			relayed++
		}
	}
	return direct, relayed, at
}

// punch waits for the direct connections that the NATs allow, and for circuits
// where they don't.
func (s *story) punch() {
	s.ben.await("is directly connected with Anna, and the relays", 60*time.Second, func(d map[string]any) bool {
		_, _, at := connections(d)
		return strings.Contains(at, wan(21)+"/") && strings.Contains(at, wan(11)+"/") && strings.Contains(at, wan(12)+"/")
	}, "peers", "list")
	for _, r := range []*resident{s.cleo, s.dora} {
		r.await("is directly connected with the relays, and with three by circuits", 60*time.Second, func(d map[string]any) bool {
			direct, relayed, at := connections(d)
			return direct == 2 && relayed == 3 && strings.Contains(at, wan(11)+"/") && strings.Contains(at, wan(12)+"/")
		}, "peers", "list")
	}
}

// vote has all vote, among them who is behind the worst of NATs.
func (s *story) vote() {
	p := s.anna.do("propose", "open", "--title", "A bridge", "--method", "yes-no", "--closes-in", "20s")["proposal"].(string)
	for _, r := range s.all() {
		r.await("sees the proposal open", 30*time.Second, func(d map[string]any) bool { return d["phase"] == "voting" }, "propose", "show", p)
		if _, err := r.try("yes\n", "vote", "cast", p, "--choice-stdin"); err != nil {
			s.t.Fatal(r.ns, err)
		}
	}
	for _, r := range s.all() {
		r.await("counts six votes", 60*time.Second, func(d map[string]any) bool {
			return d["final"] == true && d["counted"] == 6.0
		}, "tally", p)
	}
}

// loseRelay kills the relay from which most comes in the midst of a sync.
func (s *story) loseRelay() {
	s.dora.stop()
	s.log("dora is off")
	for i := range 16 {
		s.ben.do("propose", "open", "--title", fmt.Sprint("Long ", i), "--text", strings.Repeat("words ", 2000), "--method", "yes-no", "--closes-in", "1h")
	}
	s.log("192 KB are written")
	relays := map[int]*resident{11: s.relay1, 12: s.relay2}
	before := map[int]int{}
	for n := range relays {
		before[n] = s.sent(n)
	}
	stop := s.slow(24, 64)
	s.dora.start()
	lost := 0
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(30 * time.Second); lost == 0; <-tick.C {
		for n := range relays {
			if s.sent(n)-before[n] > 64<<10 {
				lost = n
			}
		}
		if time.Now().After(end) {
			s.t.Fatal("no relay sends")
		}
	}
	if n := len(list(s.dora.do("propose", "list"), "proposals")); n > 16 {
		s.t.Fatalf("all had come before the relay failed: %d proposals", n)
	}
	relays[lost].kill()
	stop()
	s.log("20.0.0.%d fails", lost)
	s.dora.await("has all of it", 60*time.Second, func(d map[string]any) bool { return len(list(d, "proposals")) == 17 }, "propose", "list")
	relays[lost].start()
	s.log("it is back")
	s.dora.await("is connected with it again", 90*time.Second, func(d map[string]any) bool {
		_, _, at := connections(d)
		return strings.Contains(at, wan(lost)+"/")
	}, "peers", "list")
}

// part cuts the internet in two with a relay on each side, for longer than any
// connection lasts without an answer, has both write, and heals it.
func (s *story) part() {
	heal := s.cut([]int{11, 21, 23}, []int{12, 22, 24})
	s.log("the internet is cut")
	s.anna.do("propose", "open", "--title", "One bank", "--method", "yes-no", "--closes-in", "1h")
	s.ben.do("propose", "open", "--title", "Other bank", "--method", "yes-no", "--closes-in", "1h")
	s.cleo.await("hears her side", 60*time.Second, func(d map[string]any) bool { return len(list(d, "proposals")) == 18 }, "propose", "list")
	s.dora.await("hears his", 60*time.Second, func(d map[string]any) bool { return len(list(d, "proposals")) == 18 }, "propose", "list")
	for _, r := range []*resident{s.anna, s.ben} {
		r.await("has given up the others", 90*time.Second, func(d map[string]any) bool {
			direct, relayed, _ := connections(d)
			return direct+relayed <= 2
		}, "peers", "list")
	}
	heal()
	s.log("and whole again")
	for _, r := range s.all() {
		r.await("holds both sides", 90*time.Second, func(d map[string]any) bool { return len(list(d, "proposals")) == 19 }, "propose", "list")
	}
	s.agree()
}

// agree waits until all hold the same records and checkpoint.
func (s *story) agree() {
	var want map[string]any
	for _, r := range s.all() {
		r.await("nothing is provisional", 60*time.Second, func(d map[string]any) bool {
			m := list(d, "metastates")
			return len(m) == 1 && m[0]["provisional"] == 0.0
		}, "status")
	}
	for _, r := range s.all() {
		r.await("holds what all hold", 60*time.Second, func(map[string]any) bool {
			out := filepath.Join(s.dir, r.ns+fmt.Sprint(time.Now().UnixNano())+".car")
			r.do("bundle", "export", "--out", out)
			got := r.do("bundle", "inspect", out)
			if want == nil {
				want = got
			}
			return maps.Equal(pick(got), pick(want))
		}, "status")
	}
}

// pick is what says which records a bundle has.
func pick(d map[string]any) map[string]any {
	return map[string]any{"digest": d["digest"], "records": d["records"]}
}
