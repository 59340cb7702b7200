package node_test

import (
	"bytes"
	"crypto/sha3"
	"encoding/base32"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/metastate-p2p/metastate/node"
	"github.com/metastate-p2p/metastate/node/internal/socks/sockstest"
)

// onionAt is an onion service that only a test's proxy knows, with a port that
// is free together with the next, and that no connection gets for its own end.
func onionAt(t testing.TB, i int) (name string, port int) {
	t.Helper()
	key, version := bytes.Repeat([]byte{byte(i + 1)}, 32), []byte{3}
	sum := sha3.Sum256(slices.Concat([]byte(".onion checksum"), key, version))
	name = strings.ToLower(base32.StdEncoding.EncodeToString(slices.Concat(key, sum[:2], version))) + ".onion"
	for range 100 {
		port = 20000 + 2*rand.IntN(6000)
		a, errA := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		b, errB := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port+1))
		for _, l := range []net.Listener{a, b} {
			if l != nil {
				l.Close()
			}
		}
		if errA == nil && errB == nil {
			return name, port
		}
	}
	t.Fatal("no two free ports in a row")
	return "", 0
}

// openHidden opens a hidden node with so many onion services, from number first
// on.
func openHidden(t testing.TB, proxy *sockstest.Proxy, first, onions int) (*node.Node, []string) {
	t.Helper()
	cfg := node.Config{Ephemeral: true, Profile: node.ProfileHidden, Hidden: node.Hidden{SOCKS: proxy.Addr()}}
	var names []string
	for i := range onions {
		name, port := onionAt(t, first+i)
		proxy.Serve(name)
		names = append(names, name)
		cfg.Hidden.Onions = append(cfg.Hidden.Onions, fmt.Sprintf("%s:%d", name, port))
	}
	n, err := node.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	return n, names
}

// hiddenStory is that of a member whom everybody can reach and three who are
// hidden, of whom one can't be reached at all, and of a second metastate between
// two of them: they join, sync, gossip and vote. It checks that what hidden nodes
// dialled went through the proxy, under names that keep the two apart.
func hiddenStory(t *testing.T, proxy *sockstest.Proxy) {
	open, err := node.Open(t.Context(), node.Config{Ephemeral: true, Listen: []string{"/ip4/127.0.0.1/tcp/0"}})
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	one := found(t, open, "First")
	nb, onionsB := openHidden(t, proxy, 0, 2)
	nc, onionsC := openHidden(t, proxy, 10, 2)
	nd, _ := openHidden(t, proxy, 20, 0)
	b := join(t, nb, one, "Boris") // at an IP address
	if lobbies := nb.Listen(); len(lobbies) != 1 || !strings.HasPrefix(lobbies[0], "/onion3/"+strings.TrimSuffix(onionsB[0], ".onion")) {
		t.Errorf("a hidden node listens on %v", lobbies)
	}
	c := join(t, nc, b, "Clara") // at an onion service
	d := join(t, nd, b, "Dora")
	agree(t, one, b, c, d)

	p, err := c.Propose(t.Context(), node.ProposeRequest{Title: "Meet on Fridays", ClosesIn: 3 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	ref := p.Proposal.String()
	for _, m := range []*node.Community{one, b, c, d} {
		until(t, m, "it may vote", func() bool { got, err := m.Proposal(ref); return err == nil && got.MayVote })
		if _, err := m.Vote(t.Context(), ref, "yes"); err != nil {
			t.Fatal(err)
		}
	}
	for _, m := range []*node.Community{one, b, c, d} {
		until(t, m, "the vote is final", func() bool { got, err := m.Tally(ref); return err == nil && got.Final })
		if got, _ := m.Tally(ref); got.Outcome != "passed" || got.Votes["yes"] != 4 {
			t.Errorf("%+v", got)
		}
	}

	checkups(t, nb, nd)

	two := found(t, nb, "Second")
	agree(t, two, join(t, nc, two, "Clara"))

	first := []string{"127.0.0.1", onionsB[0], onionsC[0]}
	second := []string{onionsB[1], onionsC[1]}
	metastate, asked := map[string]int{}, map[int]int{} // of a name at the proxy; requests in each
	for _, r := range proxy.Requests() {
		in := 0
		switch {
		case slices.Contains(first, r.Host):
			in = 1
		case slices.Contains(second, r.Host):
			in = 2
		}
		if was, seen := metastate[r.User]; in == 0 || seen && was != in {
			t.Errorf("%v: a name of metastate %d asks in metastate %d", r, was, in)
		}
		metastate[r.User] = in
		asked[in]++
	}
	if asked[1] < 6 || asked[2] < 1 || len(metastate) < 6 {
		t.Errorf("the proxy was asked %v times in each metastate, under %d names", asked, len(metastate))
	}
}

// checkups finds out that Tor answers, and that the onion service of one leads to
// it; the other has none.
func checkups(t *testing.T, reached, unreached *node.Node) {
	t.Helper()
	for n, words := range map[*node.Node]string{reached: "the onion service leads here", unreached: "nobody reaches it"} {
		out, err := n.Doctor(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		seen := false
		for _, c := range out.Checks {
			if seen = seen || strings.Contains(c.Detail, words); !c.Pass {
				t.Errorf("%+v", c)
			}
		}
		if !seen {
			t.Errorf("%+v: nothing says that %s", out, words)
		}
	}
}

// An onion service that Tor does not lead here is found out.
func TestHiddenDoctor(t *testing.T) {
	proxy, err := sockstest.Listen()
	if err != nil {
		t.Fatal(err)
	}
	defer proxy.Close()
	name, port := onionAt(t, 1)
	n, err := node.Open(t.Context(), node.Config{Ephemeral: true, Profile: node.ProfileHidden, Hidden: node.Hidden{SOCKS: proxy.Addr(), Onions: []string{fmt.Sprintf("%s:%d", name, port)}}})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	found(t, n, "Unfound")
	out, err := n.Doctor(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range out.Checks {
		if c.Pass != (c.Name != "reachability") || !c.Pass && !strings.Contains(c.Remedy, fmt.Sprintf("HiddenServicePort %d 127.0.0.1:%d", port, port)) {
			t.Errorf("%+v", c)
		}
	}
}

func TestHiddenNodes(t *testing.T) {
	proxy, err := sockstest.Listen()
	if err != nil {
		t.Fatal(err)
	}
	defer proxy.Close()
	hiddenStory(t, proxy)
}

// Metastates that share a presence share an onion service; the next one has the
// next.
func TestHiddenSharedPresence(t *testing.T) {
	proxy, err := sockstest.Listen()
	if err != nil {
		t.Fatal(err)
	}
	defer proxy.Close()
	n, names := openHidden(t, proxy, 0, 2)
	for i, c := range []struct{ presence, onion string }{{"work", names[0]}, {"work", names[0]}, {"", names[1]}, {"", ""}} {
		m, err := n.Found(t.Context(), node.FoundRequest{Name: fmt.Sprint("Metastate ", i), As: "Anna", Presence: c.presence})
		if err != nil {
			t.Fatal(err)
		}
		in, err := n.Community(m.Metastate.String())
		if err != nil {
			t.Fatal(err)
		}
		inv, err := in.CreateInvite(t.Context(), node.InviteRequest{})
		if c.onion == "" {
			if err == nil {
				t.Errorf("%d: an invite to where nobody comes", i)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		link, err := node.ReadLink(inv.Link)
		if err != nil || len(link.Lobbies) != 1 || !strings.HasPrefix(link.Lobbies[0].Addrs[0], "/onion3/"+strings.TrimSuffix(c.onion, ".onion")) {
			t.Errorf("%d: %+v, %v", i, link, err)
		}
	}
}

func TestHiddenCheck(t *testing.T) {
	name, _ := onionAt(t, 1)
	other, _ := onionAt(t, 2)
	bad := []byte(name)
	bad[3] ^= 'a' ^ 'b'
	for _, c := range []struct {
		socks  string
		onions []string
		words  string
	}{
		{socks: "localhost:9050", words: "SOCKS proxy has to be an IP address"},
		{socks: "127.0.0.1", words: "SOCKS proxy has to be an IP address"},
		{onions: []string{name}, words: "no port"},
		{onions: []string{name + ":0"}, words: "the port has to be"},
		{onions: []string{name + ":65535"}, words: "the port has to be"},
		{onions: []string{"short.onion:80"}, words: "56 letters and digits"},
		{onions: []string{string(bad) + ":80"}, words: "missing or changed"},
		{onions: []string{name + ":80", other + ":81"}, words: "two onion services want port 81"},
		{onions: []string{name + ":80", name + ":82"}, words: "in both"},
		{onions: []string{strings.ToUpper(name) + ":80", strings.TrimSuffix(other, ".onion") + ":82"}},
		{},
	} {
		err := node.Hidden{SOCKS: c.socks, Onions: c.onions}.Check()
		if c.words == "" && err == nil {
			continue
		}
		if err == nil || !strings.Contains(err.Error(), c.words) {
			t.Errorf("%v %v: %v, want %q", c.socks, c.onions, err, c.words)
		}
	}
	cfg := node.Config{Ephemeral: true, Profile: node.ProfileHidden, Listen: []string{"/ip4/127.0.0.1/tcp/0"}}
	if n, err := node.Open(t.Context(), cfg); err == nil {
		n.Close()
		t.Error("a hidden node listens where it is told")
	}
}
