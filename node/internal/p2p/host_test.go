package p2p_test

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/metastate-p2p/metastate/node/internal/p2p"
)

// await polls a condition on real hosts.
func await(t testing.TB, what string, cond func() bool) {
	t.Helper()
	for start := time.Now(); !cond(); time.Sleep(5 * time.Millisecond) {
		if time.Since(start) > 30*time.Second {
			t.Fatal("still waiting: ", what)
		}
	}
}

// Two members on real sockets, once by TCP and once by QUIC.
func TestLoopback(t *testing.T) {
	for _, transport := range []string{"/tcp/", "/quic-v1"} {
		t.Run(strings.Trim(transport, "/"), func(t *testing.T) {
			var ms []*p2p.Member
			var rs []*p2p.MemReplica
			for i := range 2 {
				r := p2p.NewMemReplica(fmt.Sprint("binding of ", i), secret)
				r.Know(true, id(0), id(1))
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
			await(t, "sync on connect", func() bool { return rs[1].Has("written before") })
			n, err := ms[1].Push(t.Context(), p2p.Records, rs[1].Add(plane, "pushed"))
			if err != nil || n != 1 || !rs[0].Has("pushed") {
				t.Error(n, err)
			}
			if err := ms[0].Publish(p2p.Records, rs[0].Add(plane, "gossiped")); err != nil {
				t.Fatal(err)
			}
			await(t, "gossip", func() bool { return rs[1].Has("gossiped") })
			res, err := ms[0].SyncNow(t.Context())
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

// BenchmarkGossip prints how long records take to reach all of 20 hosts in one
// process, at the rates that the gossip bar names, without simulated latency.
func BenchmarkGossip(b *testing.B) {
	for _, rate := range []int{200, 800} {
		b.Run(fmt.Sprint(rate, "-per-second"), func(b *testing.B) {
			for b.Loop() {
				gossipRound(b, 20, rate, 3*time.Second)
			}
		})
	}
}

func gossipRound(b *testing.B, hosts, rate int, long time.Duration) {
	b.Helper()
	var mu sync.Mutex
	born, count := map[string]time.Time{}, map[string]int{}
	var times []time.Duration
	ms, rs := make([]*p2p.Member, hosts), make([]*p2p.MemReplica, hosts)
	for i := range hosts {
		rs[i] = p2p.NewMemReplica("b", secret)
		for j := range hosts {
			rs[i].Know(true, id(j))
		}
		m, err := p2p.NewMember(p2p.Config{Seed: seed(i), Listen: []string{"/ip4/127.0.0.1/tcp/0"}}, rs[i])
		if err != nil {
			b.Fatal(err)
		}
		defer m.Close()
		ms[i] = m
	}
	for i := range ms {
		for j := range i {
			if err := ms[i].AddPeer(p2p.Peer{ID: ms[j].ID(), Addrs: ms[j].Addrs()}); err != nil {
				b.Fatal(err)
			}
		}
	}
	for _, m := range ms {
		await(b, "connected", func() bool { return peers(m) >= hosts/2 })
	}
	time.Sleep(3 * time.Second) // the mesh forms: heartbeats are once a second
	for _, r := range rs {
		r.OnFresh(func(c []byte) {
			mu.Lock()
			defer mu.Unlock()
			if count[string(c)]++; count[string(c)] == hosts {
				times = append(times, time.Since(born[string(c)]))
			}
		})
	}
	total := int(long.Seconds() * float64(rate))
	tick := time.NewTicker(time.Second / time.Duration(rate))
	defer tick.Stop()
	for n := range total {
		<-tick.C
		body := fmt.Sprintf("%d %0280d", n, n)
		mu.Lock()
		born[string(plane[:])+body] = time.Now()
		mu.Unlock()
		if err := ms[n%hosts].Publish(p2p.Records, rs[n%hosts].Add(plane, body)); err != nil {
			b.Error(err)
		}
	}
	time.Sleep(time.Second)
	mu.Lock()
	heard := len(times)
	slices.Sort(times)
	mu.Unlock()
	for _, m := range ms {
		_, _ = m.SyncNow(b.Context())
	}
	for i, r := range rs {
		if n := r.Counts()[0]; n != total {
			b.Errorf("host %d holds %d of %d after sync", i, n, total)
		}
	}
	if heard == 0 {
		b.Fatal("no record reached all")
	}
	b.ReportMetric(float64(times[heard/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(times[heard*95/100].Microseconds())/1000, "p95-ms")
	b.ReportMetric(100*float64(heard)/float64(total), "%gossiped")
}
