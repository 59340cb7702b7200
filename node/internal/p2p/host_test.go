package p2p_test

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/metastate-p2p/metastate/node/internal/p2p"
)

// patience bounds what is awaited on real sockets; it says how long a failure
// takes, no more.
const patience = 30 * time.Second

// arrivals tells of every record that a replica takes in, from its start on.
func arrivals(r *p2p.MemReplica) <-chan string {
	arrived := make(chan string, 16)
	r.OnFresh(func(content []byte) { arrived <- string(content[len(plane):]) })
	return arrived
}

// await waits for a record of the given body.
func await(t testing.TB, arrived <-chan string, body string) {
	t.Helper()
	for late := time.After(patience); ; {
		select {
		case got := <-arrived:
			if got == body {
				return
			}
		case <-late:
			t.Fatalf("still waiting for what was %q", body)
		}
	}
}

// Two members on real sockets, once by TCP and once by QUIC.
func TestLoopback(t *testing.T) {
	for _, transport := range []string{"/tcp/", "/quic-v1"} {
		t.Run(strings.Trim(transport, "/"), func(t *testing.T) {
			var ms []*p2p.Member
			var rs []*p2p.MemReplica
			var arrived <-chan string // at the last
			for i := range 2 {
				r := p2p.NewMemReplica(fmt.Sprint("binding of ", i), secret)
				r.Know(true, id(0), id(1))
				arrived = arrivals(r)
				m, err := p2p.NewMember(p2p.Config{
					Seed:   seed(i),
					Listen: []string{"/ip4/127.0.0.1/tcp/0", "/ip4/127.0.0.1/udp/0/quic-v1"},
				}, r)
				if err != nil {
					t.Fatal(err)
				}
				defer m.Close()
				ms, rs = append(ms, m), append(rs, r)
			}
			rs[0].Add(plane, "written before")
			addrs := slices.DeleteFunc(ms[1].Addrs(), func(a string) bool { return !strings.Contains(a, transport) })
			if len(addrs) != 1 {
				t.Fatalf("%s: addresses %v", transport, ms[1].Addrs())
			}
			if err := ms[0].AddPeer(p2p.Peer{ID: ms[1].ID(), Addrs: addrs}); err != nil {
				t.Fatal(err)
			}
			await(t, arrived, "written before") // sync on connect
			n, _, err := ms[1].Push(t.Context(), p2p.Records, rs[1].Add(plane, "pushed"))
			if err != nil || n != 1 || !rs[0].Has("pushed") {
				t.Error(n, err)
			}
			if err := ms[0].Publish(p2p.Records, rs[0].Add(plane, "gossiped")); err != nil {
				t.Fatal(err)
			}
			await(t, arrived, "gossiped")
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			res, err := ms[0].SyncNow(ctx)
			if err != nil || res.Peers != 1 || res.Failed != 0 {
				t.Errorf("%+v, %v", res, err)
			}
			if s := ms[0].Peers(); len(s) != 1 || !s[0].Connected || !s[0].Direct || s[0].LastSync.IsZero() || !strings.Contains(s[0].Address, transport) {
				t.Errorf("%+v", s)
			}
		})
	}
}

// A port that is taken is an error, not a presence that hears half.
func TestListenAll(t *testing.T) {
	r := p2p.NewMemReplica("b", secret)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	taken := fmt.Sprintf("/ip4/127.0.0.1/tcp/%d", ln.Addr().(*net.TCPAddr).Port)
	if m, err := p2p.NewMember(p2p.Config{Seed: seed(1), Listen: []string{taken, "/ip4/127.0.0.1/udp/0/quic-v1"}}, r); err == nil {
		_ = m.Close()
		t.Error("started without one of its listeners")
	}
	if _, err := p2p.NewMember(p2p.Config{}, r); err == nil {
		t.Error("started without a key")
	}
}

// A relay is reached by WebSocket, at the address that it announces for what stands
// in front of it.
func TestWebSocket(t *testing.T) {
	var ms []*p2p.Member
	var rs []*p2p.MemReplica
	for i := range 2 {
		r := p2p.NewMemReplica(fmt.Sprint("binding of ", i), secret)
		r.Know(true, id(0), id(1))
		cfg := p2p.Config{Seed: seed(i), Listen: []string{"/ip4/127.0.0.1/tcp/0"}}
		if i == 0 {
			cfg.Profile, cfg.Announce = p2p.ProfileRelay, []string{"/dns4/localhost/tcp/{port}/ws"}
			cfg.Listen = append(cfg.Listen, "/ip4/127.0.0.1/udp/0/quic-v1", "/ip4/127.0.0.1/tcp/0/ws")
		}
		m, err := p2p.NewMember(cfg, r)
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		ms, rs = append(ms, m), append(rs, r)
	}
	arrived := arrivals(rs[1])
	rs[0].Add(plane, "by WebSocket")
	addrs := slices.DeleteFunc(ms[0].Addrs(), func(a string) bool { return !strings.HasPrefix(a, "/dns4/localhost/") })
	if len(addrs) != 1 || !strings.HasSuffix(addrs[0], "/ws") {
		t.Fatal(ms[0].Addrs())
	}
	if err := ms[1].AddPeer(p2p.Peer{ID: ms[0].ID(), Addrs: addrs}); err != nil {
		t.Fatal(err)
	}
	await(t, arrived, "by WebSocket")
}
