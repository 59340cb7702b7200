package p2p_test

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
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
	total := int(long.Seconds() * float64(rate))
	all := make(chan struct{}) // closed when every record has reached every host
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
	// Hosts connect, and the mesh forms by heartbeats, one a second. It announces
	// neither, and real time is what this benchmark measures.
	time.Sleep(5 * time.Second)
	for i, m := range ms {
		if peers(m) < hosts/2 {
			b.Fatalf("host %d has %d peers", i, peers(m))
		}
	}
	for _, r := range rs {
		r.OnFresh(func(c []byte) {
			mu.Lock()
			defer mu.Unlock()
			if count[string(c)]++; count[string(c)] == hosts {
				if times = append(times, time.Since(born[string(c)])); len(times) == total {
					close(all)
				}
			}
		})
	}
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
	select { // what gossip has not brought by then, it will not
	case <-all:
	case <-time.After(time.Second):
	}
	mu.Lock()
	heard := slices.Clone(times)
	mu.Unlock()
	slices.Sort(heard)
	for _, m := range ms {
		_, _ = m.SyncNow(b.Context())
	}
	for i, r := range rs {
		if n := r.Counts()[0]; n != total {
			b.Errorf("host %d holds %d of %d after sync", i, n, total)
		}
	}
	if len(heard) == 0 {
		b.Fatal("no record reached all")
	}
	b.ReportMetric(float64(heard[len(heard)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(heard[len(heard)*95/100].Microseconds())/1000, "p95-ms")
	b.ReportMetric(100*float64(len(heard))/float64(total), "%gossiped")
}
