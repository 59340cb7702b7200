package p2p

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
)

func peerOf(i int) Peer {
	s, err := PeerID([32]byte{1, byte(i), byte(i >> 8)})
	if err != nil {
		panic(err)
	}
	return Peer{ID: s, Addrs: []string{"/ip4/20.0.0.1/udp/1/quic-v1"}}
}

func idle(peer.ID) bool { return false }

// Bootstraps come first and are never given up; of the others the last seen is
// always among the first.
func TestBookOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &book{peers: map[peer.ID]*entry{}}
		for i := range 50 {
			p := peerOf(i)
			p.Bootstrap = i >= 48
			p.LastSeen = time.Now().Add(-time.Duration(i) * time.Hour)
			if err := b.put(p); err != nil {
				t.Fatal(err)
			}
		}
		due, _ := b.pick(4, idle)
		if len(due) != 4 {
			t.Fatal(len(due))
		}
		got := map[string]bool{}
		for _, c := range due {
			got[c.id.String()] = true
		}
		for _, i := range []int{0, 48, 49} {
			if !got[peerOf(i).ID] {
				t.Errorf("peer %d is not among the first", i)
			}
		}
		if due, _ := b.pick(0, idle); len(due) != 0 {
			t.Error("a peer being dialled is dialled again")
		}
	})
}

// Waits double up to the cap and stay there for good.
func TestBookBackoff(t *testing.T) {
	for boot, limit := range map[bool]time.Duration{true: maxBootstrapBackoff, false: maxBackoff} {
		synctest.Test(t, func(t *testing.T) {
			b := &book{peers: map[peer.ID]*entry{}}
			p := peerOf(1)
			p.Bootstrap = boot
			if err := b.put(p); err != nil {
				t.Fatal(err)
			}
			var last time.Duration
			for n := range 400 {
				due, next := b.pick(1, idle)
				if len(due) != 1 {
					t.Fatalf("try %d: not due, next %v", n, next)
				}
				b.dialled(due[0].id, errors.New("off"))
				_, next = b.pick(1, idle)
				last = time.Until(next)
				if last < minDialInterval*2/3 || last > limit*4/3 {
					t.Fatalf("try %d: next after %v", n, last)
				}
				time.Sleep(last)
			}
			if last < limit*2/3 {
				t.Errorf("after 400 failures only %v", last)
			}
		})
	}
}

func TestBookBounds(t *testing.T) {
	b := &book{peers: map[peer.ID]*entry{}}
	boot := peerOf(0)
	boot.Bootstrap = true
	if err := b.put(boot); err != nil {
		t.Fatal(err)
	}
	for i := 1; i < maxBook+10; i++ {
		if err := b.put(peerOf(i)); err != nil {
			t.Fatal(err)
		}
	}
	bootID, _ := peer.Decode(boot.ID)
	if len(b.peers) != maxBook || b.peers[bootID] == nil {
		t.Errorf("%d peers, bootstrap held: %v", len(b.peers), b.peers[bootID] != nil)
	}
	many := peerOf(1)
	for i := range maxAddrs + 1 {
		many.Addrs = append(many.Addrs, fmt.Sprintf("/ip4/20.0.0.1/tcp/%d", i+1))
	}
	if err := b.put(many); !errors.Is(err, ErrTooBig) {
		t.Error(err)
	}
	for _, bad := range []Peer{{ID: "nobody"}, {ID: boot.ID, Addrs: []string{"localhost:80"}}} {
		if b.put(bad) == nil {
			t.Errorf("%+v is taken", bad)
		}
	}
}

func TestRates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRates(1, 3)
		n := 0
		for range 10 {
			if r.allow("x") {
				n++
			}
		}
		if n != 3 {
			t.Errorf("burst of %d", n)
		}
		for i := range 2 * maxRateEntries {
			r.allow(fmt.Sprint(i))
		}
		if len(r.keys) > maxRateEntries {
			t.Errorf("%d keys", len(r.keys))
		}
		time.Sleep(time.Minute)
		if !r.allow("newcomer") {
			t.Error("a full table never recovers")
		}
	})
}

func TestSameEndpoint(t *testing.T) {
	for _, c := range []struct {
		want, have string
		same       bool
	}{
		{"/ip4/0.0.0.0/tcp/0", "/ip4/0.0.0.0/tcp/4001", true},
		{"/ip4/0.0.0.0/tcp/4001", "/ip4/0.0.0.0/tcp/4002", false},
		{"/ip4/0.0.0.0/tcp/4001/ws", "/ip4/0.0.0.0/tcp/4001", false},
		{"/ip4/0.0.0.0/udp/0/quic-v1", "/ip4/0.0.0.0/tcp/1", false},
		{"/ip4/127.0.0.1/tcp/0", "/ip4/0.0.0.0/tcp/4001", false},
	} {
		if got := sameEndpoint(ma.StringCast(c.want), ma.StringCast(c.have)); got != c.same {
			t.Errorf("%s, %s: %v", c.want, c.have, got)
		}
	}
}

func TestTopicName(t *testing.T) {
	a, b := topicName([32]byte{1}), topicName([32]byte{2})
	if len(a) != 26 || a == b {
		t.Errorf("%q, %q", a, b)
	}
	// Pinned: another implementation must find the same topic.
	if a != topicPin {
		t.Errorf("topic of secret 01 00…: %q", a)
	}
}

const topicPin = "J4FMS7QL6KIIAPVNBWPH3BX5WR"

// Ever new addresses have a peer dialled once a minute, and its waits grow all the
// same; one that was not dialled for a minute is tried at once.
func TestBookNewAddresses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &book{peers: map[peer.ID]*entry{}}
		dials := 0
		for i := range 3600 {
			p := peerOf(1)
			p.Addrs = []string{fmt.Sprintf("/ip4/20.0.0.1/tcp/%d", i+1)}
			if err := b.put(p); err != nil {
				t.Fatal(err)
			}
			due, _ := b.pick(1, idle)
			for _, c := range due {
				dials++
				b.dialled(c.id, errors.New("off"))
			}
			time.Sleep(time.Second)
		}
		if dials < 60 || dials > 70 {
			t.Errorf("%d dials in an hour of new addresses", dials)
		}
		time.Sleep(time.Minute)
		if err := b.put(peerOf(1)); err != nil {
			t.Fatal(err)
		}
		if due, _ := b.pick(1, idle); len(due) != 1 {
			t.Error("a new address is not tried")
		}
	})
}

// A relay that gives no place is asked ever more rarely, whatever addresses it is
// said to have, and one that the user named or that gave places before soon again.
func TestReserverBackoff(t *testing.T) {
	for name, c := range map[string]struct {
		named, held, moves bool
		least, most        int // askings in an hour
	}{
		"a stray":                  {least: 12, most: 30},
		"a stray that moves about": {moves: true, least: 60, most: 75},
		"named":                    {named: true, least: 90, most: 200},
		"gave places":              {held: true, least: 90, most: 200},
	} {
		r := &reservation{named: c.named}
		if c.held {
			r.since = time.Unix(1, 0)
		}
		asked := 0
		for at := range 3600 {
			now := time.Unix(1e9+int64(at), 0)
			if c.moves {
				r.follow(&reservation{candidate: candidate{addrs: []ma.Multiaddr{ma.StringCast(fmt.Sprintf("/ip4/20.0.0.1/tcp/%d", at+1))}}})
			}
			if !now.Before(r.next) {
				asked++
				r.asked = now
				r.failed(now)
			}
		}
		if asked < c.least || asked > c.most {
			t.Errorf("%s: asked %d times in an hour, want %d to %d", name, asked, c.least, c.most)
		}
	}
}
