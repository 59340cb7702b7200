package p2p_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/metastate-p2p/metastate/node/internal/p2p"
	"github.com/metastate-p2p/metastate/node/internal/p2p/p2psim"
	"github.com/metastate-p2p/metastate/protocol"
)

const (
	latency = 25 * time.Millisecond
	port    = 8000
)

var (
	secret = [32]byte{1}
	plane  = protocol.ID{} // the control plane's set
)

func seed(i int) [32]byte { return [32]byte{0xaa, byte(i), byte(i >> 8)} }

func id(i int) string {
	s, err := p2p.PeerID(seed(i))
	if err != nil {
		panic(err)
	}
	return s
}

// A town is some members who know each other, on a simulated network.
type town struct {
	net      *p2psim.Network
	members  []*p2p.Member
	replicas []*p2p.MemReplica
}

// newNetwork is a simulated network. Under the race detector, which crashes on
// bubbles with many goroutines (go.dev/issue/78156), there is none: package
// node's tests have hosts on loopback for it.
func newNetwork(t testing.TB) *p2psim.Network {
	t.Helper()
	if underRace {
		t.Skip("whole hosts in virtual time run without the race detector")
	}
	return p2psim.New(latency)
}

// newTown starts n members; each is told of the next two.
func newTown(t testing.TB, n int) *town {
	t.Helper()
	w := &town{net: newNetwork(t)}
	for i := range n {
		r := p2p.NewMemReplica(fmt.Sprint("binding of ", i), secret)
		for j := range n {
			r.Know(true, id(j))
		}
		w.replicas = append(w.replicas, r)
		w.members = append(w.members, w.start(t, i))
	}
	for i, m := range w.members {
		for _, j := range []int{(i + 1) % n, (i + 2) % n} {
			if j != i {
				add(t, m, j)
			}
		}
	}
	return w
}

func (w *town) start(t testing.TB, i int) *p2p.Member {
	t.Helper()
	m, err := p2p.NewMember(p2p.Config{Seed: seed(i), Underlay: w.net.Underlay(i, port)}, w.replicas[i])
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func add(t testing.TB, m *p2p.Member, i int) {
	t.Helper()
	if err := m.AddPeer(p2p.Peer{ID: id(i), Addrs: []string{p2psim.Addr(i, port)}, Bootstrap: true}); err != nil {
		t.Fatal(err)
	}
}

func (w *town) close(t testing.TB) {
	t.Helper()
	var wg sync.WaitGroup
	for _, m := range w.members {
		wg.Go(func() {
			if err := m.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	w.net.Close()
}

// eventually waits, in the bubble's time, until cond holds.
func eventually(t testing.TB, limit time.Duration, what string, cond func() bool) time.Duration {
	t.Helper()
	start := time.Now()
	for !cond() {
		if time.Since(start) > limit {
			t.Fatalf("%s: not within %v", what, limit)
		}
		time.Sleep(time.Millisecond)
	}
	return time.Since(start)
}

func (w *town) connected(t testing.TB, least int) {
	t.Helper()
	for i, m := range w.members {
		eventually(t, time.Minute, fmt.Sprint("member ", i, " connects"), func() bool { return peers(m) >= least })
	}
}

func peers(m *p2p.Member) (n int) {
	for _, p := range m.Peers() {
		if p.Connected {
			n++
		}
	}
	return n
}

func (w *town) all(f func(*p2p.MemReplica) bool) func() bool {
	return func() bool {
		for _, r := range w.replicas {
			if !f(r) {
				return false
			}
		}
		return true
	}
}

func TestGossipReachesAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t, 10)
		defer w.close(t)
		w.connected(t, 4)
		time.Sleep(3 * time.Second) // the mesh forms
		for i, m := range w.members {
			for k := range 30 {
				if err := m.Publish(p2p.Records, w.replicas[i].Add(plane, fmt.Sprint(i, " says ", k))); err != nil {
					t.Fatal(err)
				}
			}
		}
		took := eventually(t, 2*time.Second, "gossip", w.all(func(r *p2p.MemReplica) bool { return r.Counts()[0] == 300 }))
		t.Log("300 records at 10 members after", took)
		var sum p2p.Metrics
		for _, m := range w.members {
			c := m.Metrics()
			sum.Gossip.SentM += c.Gossip.SentM
			sum.Gossip.RejectedM += c.Gossip.RejectedM + c.Gossip.IgnoredM
			if c.Loss != (p2p.LossMetrics{}) {
				t.Errorf("lost: %+v", c.Loss)
			}
		}
		if sum.Gossip.SentM > 40 {
			t.Errorf("%d messages for 300 records: not coalesced", sum.Gossip.SentM)
		}
		if sum.Gossip.RejectedM != 0 {
			t.Errorf("%d messages refused", sum.Gossip.RejectedM)
		}
	})
}

func TestUnheardIsCountedAndSynced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t, 2)
		defer w.close(t)
		w.connected(t, 1)
		w.net.Partition(2, func(m int) int { return m })
		eventually(t, 5*time.Minute, "the partition is felt", func() bool { return peers(w.members[0]) == 0 })
		if err := w.members[0].Publish(p2p.Records, w.replicas[0].Add(plane, "lonely")); err != nil {
			t.Fatal(err)
		}
		eventually(t, 10*time.Second, "counted", func() bool { return w.members[0].Metrics().Loss.UnheardF == 1 })
		if n, _, err := w.members[0].Push(t.Context(), p2p.Records, w.replicas[0].Add(plane, "lonely")); n != 0 || err != nil {
			t.Error("push to nobody:", n, err)
		}
		w.net.Partition(2, nil)
		eventually(t, 2*time.Minute, "sync on connect", func() bool { return w.replicas[1].Has("lonely") })
	})
}

func TestPartitionHeals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t, 8)
		defer w.close(t)
		w.connected(t, 3)
		time.Sleep(5 * time.Second)
		w.net.Partition(8, func(m int) int { return m / 4 })
		for i, m := range w.members {
			if err := m.Publish(p2p.Records, w.replicas[i].Add(plane, fmt.Sprint("in the dark ", i))); err != nil {
				t.Fatal(err)
			}
		}
		w.replicas[0].AddCertificate()
		time.Sleep(30 * time.Minute)
		if w.replicas[7].Has("in the dark 0") {
			t.Fatal("the partition leaks")
		}
		w.net.Partition(8, nil)
		// Bootstraps are dialled again at least every minute and a third, and who
		// meets the other half tells its own within 20 s, over at most 3 hops.
		took := eventually(t, 3*time.Minute, "heal", w.all(func(r *p2p.MemReplica) bool { c := r.Counts(); return c[0] == 8 && c[1] == 1 }))
		t.Log("healed after", took)
	})
}

func TestRestartOnSamePort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t, 3)
		defer w.close(t)
		w.connected(t, 2)
		if err := w.members[2].Close(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Hour)
		w.replicas[0].Add(plane, "while you were out")
		w.members[2] = w.start(t, 2) // knows no address
		eventually(t, 3*time.Minute, "found again", func() bool { return w.replicas[2].Has("while you were out") })
	})
}

func TestPush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t, 4)
		defer w.close(t)
		w.connected(t, 3)
		f := w.replicas[0].Add(plane, "my vote")
		n, _, err := w.members[0].Push(t.Context(), p2p.Records, f)
		if n != 3 || err != nil {
			t.Fatal(n, err)
		}
		if !w.all(func(r *p2p.MemReplica) bool { return r.Has("my vote") })() {
			t.Error("acknowledged but not held")
		}
		f[len(f)-1] ^= 1
		if n, _, err := w.members[0].Push(t.Context(), p2p.Records, f); n != 0 || err != nil {
			t.Error("a frame with a bad MAC was acknowledged:", n, err)
		}
		if _, _, err := w.members[0].Push(t.Context(), p2p.Records, make([]byte, p2p.MaxFrame+1)); !errors.Is(err, p2p.ErrTooBig) {
			t.Error(err)
		}
		if err := w.members[0].Publish(p2p.Records, make([]byte, p2p.MaxFrame+1)); !errors.Is(err, p2p.ErrTooBig) {
			t.Error(err)
		}
	})
}

// Who pushes gets the receipts of clerks, and of nobody else; an answer with
// more of them than there may be counts as none.
func TestPushReceipts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t, 4)
		defer w.close(t)
		w.connected(t, 3)
		w.replicas[1].SignReceipts(1)
		w.replicas[2].SignReceipts(p2p.MaxReceipts)
		f := w.replicas[0].Add(plane, "my vote")
		n, receipts, err := w.members[0].Push(t.Context(), p2p.Records, f)
		if n != 3 || len(receipts) != 1+p2p.MaxReceipts || err != nil {
			t.Fatal(n, len(receipts), err)
		}
		for _, r := range receipts {
			if w.replicas[0].Check(p2p.Receipts, r) != p2p.Accept {
				t.Error("a receipt did not come as it was sent")
			}
		}
		w.replicas[2].SignReceipts(p2p.MaxReceipts + 1)
		if n, receipts, err := w.members[0].Push(t.Context(), p2p.Records, f); n != 2 || len(receipts) != 1 || err != nil {
			t.Error(n, len(receipts), err)
		}
		b := p2p.NewMemReplica("a binding", secret).Bindings()[0]
		if n, receipts, err := w.members[0].Push(t.Context(), p2p.Bindings, b); n != 3 || len(receipts) != 0 || err != nil {
			t.Error("a receipt for what is no record:", n, len(receipts), err)
		}
	})
}

// Of two members who hold the same epochs, one rotates; both go on, and who is
// no longer known is cut off.
func TestRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t, 3)
		defer w.close(t)
		w.connected(t, 2)
		time.Sleep(3 * time.Second)
		for i := range 2 {
			w.replicas[i].SetSecrets([32]byte{9}, secret)
			w.replicas[i].Know(false, id(2))
			if err := w.members[i].Refresh(); err != nil {
				t.Fatal(err)
			}
		}
		eventually(t, 5*time.Second, "cut off", func() bool { return peers(w.members[2]) == 0 })
		time.Sleep(5 * time.Second)
		if err := w.members[0].Publish(p2p.Records, w.replicas[0].Add(plane, "among us")); err != nil {
			t.Fatal(err)
		}
		eventually(t, 5*time.Second, "the new topic", func() bool { return w.replicas[1].Has("among us") })
		w.members[2].SyncNow(t.Context())
		time.Sleep(5 * time.Minute)
		if w.replicas[2].Has("among us") {
			t.Error("the removed member is still served")
		}
		// It may be trying just now: a connection is up on its side until the
		// other has seen who it is.
		eventually(t, 5*time.Second, "cut off still", func() bool { return peers(w.members[2]) == 0 })
		if w.members[0].Metrics().Refused == 0 {
			t.Error("no refusal counted: did the removed member not try?")
		}
	})
}

// Close leaves no goroutine of this package behind.
func TestCloseLeavesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t, 3)
		w.connected(t, 2)
		_ = w.members[0].Publish(p2p.Records, w.replicas[0].Add(plane, "bye"))
		w.close(t)
		buf := make([]byte, 1<<20)
		for _, g := range strings.Split(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
			if strings.Contains(g, "internal/p2p.") && !strings.Contains(g, "TestCloseLeavesNothing") {
				t.Errorf("left behind:\n%s", g)
			}
		}
		if err := w.members[0].Publish(p2p.Records, []byte{1}); !errors.Is(err, p2p.ErrClosed) {
			t.Error(err)
		}
		if _, err := w.members[0].SyncNow(context.Background()); !errors.Is(err, p2p.ErrClosed) {
			t.Error(err)
		}
		if err := w.members[0].Close(); err != nil {
			t.Error(err)
		}
	})
}
