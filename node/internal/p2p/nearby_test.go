package p2p

import (
	"errors"
	"net"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	"golang.org/x/sync/semaphore"
)

// A hidden presence and a relay never show themselves.
func TestNearbyProfiles(t *testing.T) {
	for _, c := range []struct {
		profile Profile
		d       time.Duration
		want    error
	}{
		{ProfileHidden, time.Minute, ErrProfile},
		{ProfileHidden, 0, ErrProfile},
		{ProfileRelay, time.Minute, ErrProfile},
		{ProfileMember, MaxNearby + 1, nil},
		{ProfileMember, -1, nil},
	} {
		cfg := Config{Seed: [32]byte{1}, Profile: c.profile, Hidden: Hidden{SOCKS: "127.0.0.1:9050"}}
		if c.profile != ProfileHidden {
			cfg.Listen = []string{"/ip4/127.0.0.1/tcp/0"}
		}
		m, err := NewMember(cfg, NewMemReplica("b", [32]byte{2}))
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Nearby(c.d); err == nil || c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%v, %v: %v", c.profile, c.d, err)
		}
		if err := m.Close(); err != nil {
			t.Error(err)
		}
		if err := m.Nearby(time.Second); err == nil {
			t.Error("a closed presence looks")
		}
	}
}

// What is heard on the local networks is used for members and for addresses of
// these networks alone, and fills nothing.
func TestNearbyHeard(t *testing.T) {
	r := NewMemReplica("b", [32]byte{2})
	m, err := NewMember(Config{Seed: [32]byte{1}, Listen: []string{"/ip4/127.0.0.1/tcp/0"}}, r)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	dialled := make(chan candidate, 2*maxNearbyPeers)
	s := &search{member: m, found: map[peer.ID][]ma.Multiaddr{}, dials: semaphore.NewWeighted(maxDials), dial: func(c candidate) { dialled <- c }}
	who, _ := peer.Decode(peerOf(1).ID)
	hear := func(addrs ...string) {
		info := peer.AddrInfo{ID: who}
		for _, a := range addrs {
			info.Addrs = append(info.Addrs, ma.StringCast(a))
		}
		s.HandlePeerFound(info)
	}
	hear("/ip4/127.0.0.1/tcp/1")
	r.Know(true, peerOf(1).ID)
	hear("/ip4/203.0.113.1/tcp/1", "/dns4/example.invalid/tcp/1", "/ip6/2001:db8::1/tcp/1")
	if len(dialled) != 0 || len(s.found) != 0 {
		t.Errorf("dialled %d, kept %v", len(dialled), s.found)
	}
	hear("/ip4/203.0.113.1/tcp/1", "/ip4/127.0.0.1/tcp/1")
	if c := <-dialled; c.id != who || len(c.addrs) != 1 || c.addrs[0].String() != "/ip4/127.0.0.1/tcp/1" {
		t.Errorf("dialled %v", c)
	}
	for i := range 2 * maxNearbyPeers {
		r.Know(true, peerOf(i).ID)
		p, _ := peer.Decode(peerOf(i).ID)
		s.HandlePeerFound(peer.AddrInfo{ID: p, Addrs: []ma.Multiaddr{ma.StringCast("/ip4/127.0.0.1/tcp/1")}})
	}
	if len(s.found) != maxNearbyPeers {
		t.Errorf("%d are kept", len(s.found))
	}
	if p := m.Peers(); len(p) != 0 {
		t.Errorf("the book took up %v", p)
	}
}

func TestOnOneOf(t *testing.T) {
	_, room, _ := net.ParseCIDR("192.168.7.0/24")
	local := []net.Addr{room, &net.UnixAddr{}}
	for a, want := range map[string]bool{
		"/ip4/192.168.7.9/tcp/1": true, "/ip4/192.168.8.9/tcp/1": false, "/dns4/a.local/tcp/1": false, "/ip6/fe80::1/tcp/1": false,
	} {
		if onOneOf(local, ma.StringCast(a)) != want {
			t.Errorf("%s: %v", a, !want)
		}
	}
}
