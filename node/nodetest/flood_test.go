package nodetest_test

import (
	"runtime"
	"testing"

	"github.com/metastate-p2p/metastate/node"
	"github.com/metastate-p2p/metastate/node/nodetest"
)

// A flood of requests to join leaves no record and no memory behind, and who is
// invited gets in afterwards.
func TestFlood(t *testing.T) {
	n, err := node.Open(t.Context(), node.Config{Ephemeral: true, Listen: []string{"/ip4/127.0.0.1/tcp/0"}})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	m, err := n.Found(t.Context(), node.FoundRequest{Name: "Besieged", As: "Anna"})
	if err != nil {
		t.Fatal(err)
	}
	c, err := n.Community(m.Metastate.String())
	if err != nil {
		t.Fatal(err)
	}
	inv, err := c.CreateInvite(t.Context(), node.InviteRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for changed := c.Changed(); c.Status().Provisional > 0; changed = c.Changed() {
		<-changed
	}
	before, heap := c.Status(), inUse()
	const requests = 10_000
	out, err := nodetest.Flood(t.Context(), inv.Link, requests)
	if err != nil {
		t.Fatal(err)
	}
	if out.Answered+out.Refused+out.Declined != requests || out.Declined < requests*9/10 || out.Answered+out.Refused == 0 {
		t.Errorf("%+v", out)
	}
	after := c.Status()
	if after.Checkpoint != before.Checkpoint || after.Provisional != 0 {
		t.Errorf("the flood left records: %+v, then %+v", before.Checkpoint, after.Checkpoint)
	}
	if grown := inUse() - heap; grown > 16<<20 {
		t.Errorf("the flood left %d bytes in use", grown)
	}
	t.Logf("%+v, heap %+d KiB", out, (inUse()-heap)>>10)
}

func inUse() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse)
}
