package node_test

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/metastate-p2p/metastate/node/internal/ownnet"
	"github.com/metastate-p2p/metastate/node/internal/p2p"
	"github.com/metastate-p2p/metastate/node/internal/socks/sockstest"
)

// Hidden nodes open no socket but to the proxy, and look up nothing: in a
// network namespace of their own the kernel counts every datagram and every
// connection tried, and all are the proxy's or to it.
func TestHiddenLeaksNothing(t *testing.T) { ownnet.Run(t, "TestHiddenWorld") }

// TestHiddenWorld is run by TestHiddenLeaksNothing.
func TestHiddenWorld(t *testing.T) {
	ownnet.Inside(t)
	raiseLoopback(t)
	proxy, err := sockstest.Listen()
	if err != nil {
		t.Fatal(err)
	}
	defer proxy.Close()
	hiddenStory(t, proxy)
	knockByName(t, proxy)

	// The one member that is not hidden dials nobody: it can't reach onions.
	taken, tried := proxy.Traffic()
	for name, want := range map[string]int{
		"Tcp ActiveOpens": taken + tried, "Udp OutDatagrams": 0, "Udp NoPorts": 0, "Ip OutNoRoutes": 0, "Icmp OutMsgs": 0,
	} {
		if got := counter(t, name); got != want {
			t.Errorf("%s: %d, want %d; the proxy took %d connections and tried %d", name, got, want, taken, tried)
		}
	}
	for _, table := range []string{"udp", "udp6", "raw", "raw6", "udplite"} {
		if rows := sockets(t, table); len(rows) > 0 {
			t.Errorf("%s sockets: %q", table, rows)
		}
	}
	for _, table := range []string{"tcp", "tcp6"} {
		for _, row := range sockets(t, table) {
			if local := row[1]; table == "tcp6" || !strings.HasPrefix(local, "0100007F:") { // 127.0.0.1
				t.Errorf("a %s socket of another address: %q", table, row)
			}
		}
	}
}

// knockByName has a hidden node dial names, also such as only a look-up could
// make an address of.
func knockByName(t *testing.T, proxy *sockstest.Proxy) {
	t.Helper()
	id, err := p2p.PeerID([32]byte{1})
	if err != nil {
		t.Fatal(err)
	}
	const name = "lobby.invalid"
	lobby := p2p.Peer{ID: id, Addrs: []string{"/dns4/" + name + "/tcp/1", "/dnsaddr/" + name, "/dns4/" + name + "/udp/1/quic-v1"}}
	cfg := p2p.Config{Seed: [32]byte{2}, Profile: p2p.ProfileHidden, Hidden: p2p.Hidden{SOCKS: proxy.Addr()}}
	if err := p2p.Knock(t.Context(), cfg, []p2p.Peer{lobby}, []byte("hello"), func(string, []byte) bool { return true }); err == nil {
		t.Error("a name that nobody has was reached")
	}
	asked := proxy.Requests()
	if last := asked[len(asked)-1]; last.Host != name {
		t.Errorf("the proxy was asked for %v", last)
	}
}

// raiseLoopback brings up the one interface of a new network namespace.
func raiseLoopback(t *testing.T) {
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
	r.SetUint16(unix.IFF_UP)
	if err := unix.IoctlIfreq(s, unix.SIOCSIFFLAGS, r); err != nil {
		t.Fatal(err)
	}
	if all, err := net.Interfaces(); err != nil || len(all) != 1 {
		t.Fatalf("not alone: %v, %v", all, err)
	}
}

// counter is one of /proc/net/snmp, such as "Udp OutDatagrams".
func counter(t *testing.T, name string) int {
	t.Helper()
	group, field, _ := strings.Cut(name, " ")
	var titles []string
	for _, line := range lines(t, "/proc/net/snmp") {
		parts := strings.Fields(line)
		if parts[0] != group+":" {
			continue
		}
		for i, title := range titles {
			if title == field {
				n, err := strconv.Atoi(parts[i])
				if err != nil {
					t.Fatal(err)
				}
				return n
			}
		}
		titles = parts
	}
	t.Fatalf("no counter %s", name)
	return 0
}

// sockets are the rows of one of the kernel's tables, in fields.
func sockets(t *testing.T, table string) (rows [][]string) {
	t.Helper()
	path := "/proc/net/" + table
	if _, err := os.Stat(path); err != nil {
		return nil // this kernel has no such sockets
	}
	for _, line := range lines(t, path)[1:] {
		rows = append(rows, strings.Fields(line))
	}
	return rows
}

func lines(t *testing.T, path string) (out []string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for s := bufio.NewScanner(bytes.NewReader(b)); s.Scan(); {
		out = append(out, s.Text())
	}
	if len(out) == 0 {
		t.Fatal(fmt.Errorf("%s is empty", path))
	}
	return out
}
