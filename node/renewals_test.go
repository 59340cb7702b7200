package node

import (
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/node/internal/p2p"
	"github.com/metastate-p2p/metastate/protocol/dagcbor"
)

// In any time a pace lets no more happen than a burst and one an interval, and
// again after an interval.
func TestPace(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		burst := rapid.IntRange(1, 6).Draw(t, "burst")
		var p pace
		var let []time.Time
		for now := time.Unix(1_700_000_000, 0); len(let) < 40; now = now.Add(time.Duration(rapid.IntRange(0, 100).Draw(t, "wait")) * time.Second) {
			if p.allow(now, burst) {
				let = append(let, now)
			}
		}
		for i := range let {
			for j := i; j < len(let); j++ {
				if most := burst + int(let[j].Sub(let[i])/renewEvery); j-i+1 > most {
					t.Fatalf("%d within %v, burst %d", j-i+1, let[j].Sub(let[i]), burst)
				}
			}
		}
		if !p.allow(let[len(let)-1].Add(renewEvery), burst) {
			t.Fatal("not once a minute")
		}
	})
}

// signBinding makes a binding of a community's device, issued so many seconds from
// now.
func signBinding(t *testing.T, c *Community, peer string, from time.Duration, relay bool, addrs ...string) []byte {
	t.Helper()
	at := time.Now().Add(from).Unix()
	wire, err := identity.SignBinding(identity.Binding{
		Metastate: c.daily.Metastate, Persona: c.daily.Persona, Device: c.key.Public(), PeerID: []byte(peer),
		Addrs: addrs, Relay: relay, Issued: at, Expires: at + 1e5,
	}, c.key)
	if err != nil {
		t.Fatal(err)
	}
	return wire
}

// However many bindings a device makes, of relays that it makes up at somebody
// else's address, others dial there a handful of times, and hold no more of them.
func TestBindingsDrawFewDials(t *testing.T) {
	var dials atomic.Int64
	third, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer third.Close()
	go func() {
		for {
			c, err := third.Accept()
			if err != nil {
				return
			}
			dials.Add(1)
			_ = c.Close()
		}
	}()
	a := foundAs(t, onLoopback(t), "Free Coders", "Anna")
	b, _ := enterBy(t, onLoopback(t), a, "Boris")
	soon(t, "Boris is known", func() bool { return a.replica.Known(b.member.ID()) })
	at := fmt.Sprintf("/ip4/127.0.0.1/tcp/%d", third.Addr().(*net.TCPAddr).Port)
	const flood = 2000
	taken := 0
	for i := range flood {
		id, err := p2p.PeerID([32]byte{1, byte(i), byte(i >> 8)})
		if err != nil {
			t.Fatal(err)
		}
		n, err := a.replica.peers([][]byte{signBinding(t, b, id, time.Duration(i)*time.Second/8, true, at)})
		if err != nil {
			t.Fatal(err)
		}
		taken += n
	}
	soon(t, "one is dialled", func() bool { return dials.Load() > 0 })
	if taken > renewBurst+2 { // the flood may take a minute or two
		t.Errorf("%d of %d bindings are taken", taken, flood)
	}
	if n := dials.Load(); n > 20 {
		t.Errorf("%d dials at a third party", n)
	}
	soon(t, "peers that are named no more are forgotten", func() bool { return len(a.member.Peers()) <= 2 })
	if _, ok := a.replica.paces[b.key.Public()]; !ok {
		t.Error("the device is not the one that was held to a pace")
	}
}

// A binding of tomorrow waits for tomorrow, and stands in the way of none of today;
// whoever knocks with one is told of its clock.
func TestBindingsOfTomorrow(t *testing.T) {
	a := foundAs(t, onLoopback(t), "Free Coders", "Anna")
	b, _ := enterBy(t, onLoopback(t), a, "Boris")
	r := newReplica(a.book(), newKeyring(nil, time.Now(), random32()))
	add := func(wire []byte) bool {
		fresh, err := r.addBinding(wire)
		if err != nil {
			t.Fatal(err)
		}
		return fresh
	}
	tomorrow := signBinding(t, b, "peer", 24*time.Hour, false)
	if add(tomorrow) || len(r.early) != 0 {
		t.Error("a binding of tomorrow counts")
	}
	if !add(signBinding(t, b, "peer", bindAhead-time.Minute, false)) {
		t.Error("a clock that is somewhat ahead keeps a member out")
	}
	parsed, err := identity.ParseBinding(tomorrow) // held since this clock was ahead
	if err != nil {
		t.Fatal(err)
	}
	r.bindings[b.key.Public()] = peerRecord{signed: tomorrow, Binding: parsed}
	if !add(signBinding(t, b, "peer", 0, false)) {
		t.Error("a binding of tomorrow is in the way")
	}
	raw, err := dagcbor.Marshal(joinRequest{Grant: []byte{1}, Binding: tomorrow})
	if err != nil {
		t.Fatal(err)
	}
	out, err := a.serveJoin(t.Context(), "peer", raw)
	var no joinAnswer
	if err == nil {
		err = dagcbor.Unmarshal(out, &no)
	}
	if err != nil || no.Standing != "" || !strings.Contains(no.Reason, "clock is ahead") {
		t.Errorf("%+v, %v", no, err)
	}
}

// A node whose addresses change all the time says so at its pace, and always
// something newer than what others may hold.
func TestRenewalsAreCoalesced(t *testing.T) {
	a := foundAs(t, onLoopback(t), "Free Coders", "Anna")
	soon(t, "the node itself has said where it is", func() bool { return a.replica.Known(a.member.ID()) })
	k := newBookkeeper(a)
	seen := map[string]bool{}
	for range 20 {
		k.where = []string{"elsewhere"}
		before := a.replica.lastIssued()
		was := string(a.replica.Binding())
		k.announce(a.replica, a.member)
		if now := string(a.replica.Binding()); now != was {
			seen[now] = true
			if a.replica.lastIssued() <= before {
				t.Error("its binding is not newer than the one before")
			}
		}
	}
	if len(seen) != ownBurst {
		t.Errorf("%d renewals at once", len(seen))
	}
	r := newReplica(a.book(), newKeyring(nil, time.Now(), random32()))
	if r.device = a.key.Public(); !r.goOn(a.member.ID()) || r.lastIssued() != a.replica.lastIssued() || r.goOn("another") {
		t.Error("a node that starts again does not go on from what it said last")
	}
}
