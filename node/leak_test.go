package node

import (
	"runtime"
	"strings"
	"testing"
	"time"
)

// goroutines are the stacks of all goroutines, by number.
func goroutines() map[string]string {
	buf := make([]byte, 8<<20)
	all := map[string]string{}
	for _, g := range strings.Split(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
		name, _, _ := strings.Cut(g, " [")
		all[name] = g
	}
	return all
}

// Close waits for every goroutine that the node started, of members and of
// those who still join; what libraries leave to end by themselves ends soon.
func TestCloseLeavesNothing(t *testing.T) {
	before := goroutines()
	loopback := []string{"/ip4/127.0.0.1/tcp/0", "/ip4/127.0.0.1/udp/0/quic-v1"}
	na := mustOpen(t, Config{Ephemeral: true, Listen: loopback})
	nb := mustOpen(t, folderConfig(newFolder(t)))
	spare := mustOpen(t, Config{Ephemeral: true, Listen: loopback})
	a := foundAs(t, na, "Free Coders", "Anna")
	enterBy(t, nb, a, "Boris")
	foundAs(t, nb, "Chess Club", "Knight")
	inv, err := a.CreateInvite(t.Context(), InviteRequest{})
	if err != nil {
		t.Fatal(err)
	}
	joining := mustOpen(t, Config{Ephemeral: true, Listen: loopback})
	if _, err := joining.Join(t.Context(), JoinRequest{Link: unreachable(t, inv.Link)}); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Propose(t.Context(), ProposeRequest{Title: "Meet", ClosesIn: time.Hour}); err != nil {
		t.Fatal(err)
	}
	for _, n := range []*Node{na, nb, spare, joining} {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
		if err := n.Close(); err != nil {
			t.Error("a second Close: ", err)
		}
	}
	const ours = "metastate-p2p/metastate/"
	for name, stack := range goroutines() {
		if _, old := before[name]; !old && strings.Contains(stack, ours) && !strings.Contains(stack, "TestCloseLeavesNothing") {
			t.Errorf("left behind at once:\n%s", stack)
		}
	}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	late := time.After(20 * time.Second)
	for {
		left := goroutines()
		for name := range before {
			delete(left, name)
		}
		if len(left) == 0 {
			return
		}
		select {
		case <-tick.C:
		case <-late:
			for _, stack := range left {
				t.Errorf("left behind after 20 s:\n%s", stack)
			}
			return
		}
	}
}
