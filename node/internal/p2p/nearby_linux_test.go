package p2p_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/metastate-p2p/metastate/node/internal/ownnet"
	"github.com/metastate-p2p/metastate/node/internal/p2p"
)

// Members in one room, whom no address was told, find each other while both look,
// and not before. Strangers are not dialled. Afterwards nothing is asked or
// answered any more. All of it happens in a network namespace of its own, so that
// nobody on a real network hears it.
func TestNearby(t *testing.T) { ownnet.Run(t, "TestNearbyRoom") }

// TestNearbyRoom is run by TestNearby.
func TestNearbyRoom(t *testing.T) {
	ownnet.Inside(t)
	multicastLoopback(t)
	var ms []*p2p.Member
	var rs []*p2p.MemReplica
	var arrived []<-chan string
	for i := range 3 { // 2 is a stranger to the others
		r := p2p.NewMemReplica(fmt.Sprint("binding of ", i), secret)
		r.Know(true, id(0), id(1))
		if i == 2 {
			r.Know(true, id(2))
		}
		arrived = append(arrived, arrivals(r))
		m, err := p2p.NewMember(p2p.Config{Seed: seed(i), Listen: []string{"/ip4/127.0.0.1/tcp/0"}}, r)
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		ms, rs = append(ms, m), append(rs, r)
	}
	rs[0].Add(plane, "written before")
	if udp := table(t, "udp"); len(udp) != 0 {
		t.Errorf("before anybody looks: %q", udp)
	}
	for _, m := range ms {
		if err := m.Nearby(p2p.MaxNearby); err != nil {
			t.Fatal(err)
		}
		if left := time.Until(m.NearbyUntil()); left < p2p.MaxNearby-time.Minute || left > p2p.MaxNearby {
			t.Errorf("it looks for %v", left)
		}
	}
	await(t, arrived[1], "written before")
	if udp := table(t, "udp"); len(udp) == 0 {
		t.Error("they were found without mDNS")
	}
	for i, m := range ms[:2] {
		for _, p := range m.Peers() {
			if p.ID == ms[2].ID() {
				t.Errorf("%d knows a stranger: %+v", i, p)
			}
		}
	}
	for _, m := range ms {
		if err := m.Nearby(0); err != nil || !m.NearbyUntil().IsZero() {
			t.Errorf("%v, until %v", err, m.NearbyUntil())
		}
	}
	eventually(t, patience, "mDNS ends", func() bool { return len(table(t, "udp"))+len(table(t, "udp6")) == 0 })
	if s := ms[0].Peers(); len(s) != 1 || !s[0].Connected {
		t.Errorf("who was found did not stay: %+v", s)
	}

	// It ends by itself, too.
	if err := ms[0].Nearby(50 * time.Millisecond); err != nil {
		t.Fatal(err)
	}
	eventually(t, patience, "the time is up", func() bool { return ms[0].NearbyUntil().IsZero() && len(table(t, "udp")) == 0 })
}

// table is what the kernel has of a kind of socket.
func table(t *testing.T, kind string) []string {
	t.Helper()
	b, err := os.ReadFile("/proc/net/" + kind)
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(string(b)), "\n")[1:]
}

// multicastLoopback brings up the one interface of a new network namespace, as
// one that takes multicast.
func multicastLoopback(t *testing.T) {
	t.Helper()
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(s)
	r, err := unix.NewIfreq("lo")
	if err != nil {
		t.Fatal(err)
	}
	r.SetUint16(unix.IFF_UP | unix.IFF_MULTICAST)
	if err := unix.IoctlIfreq(s, unix.SIOCSIFFLAGS, r); err != nil {
		t.Fatal(err)
	}
}
