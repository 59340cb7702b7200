package p2p_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/metastate-p2p/metastate/node/internal/p2p"
	"github.com/metastate-p2p/metastate/node/internal/p2p/p2psim"
)

var secretOf = map[string][32]byte{"a": {1}, "b": {2}, "c": {3}}

// A flat is a shared presence and the metastates on it, by name.
type flat struct {
	*p2p.Presence
	machine  int
	members  map[string]*p2p.Member
	replicas map[string]*p2p.MemReplica
}

func newFlat(t *testing.T, n *p2psim.Network, machine int) *flat {
	t.Helper()
	pr, err := p2p.NewPresence(p2p.Config{Seed: seed(machine), Shared: true, Underlay: n.Underlay(machine, port)})
	if err != nil {
		t.Fatal(err)
	}
	return &flat{pr, machine, map[string]*p2p.Member{}, map[string]*p2p.MemReplica{}}
}

// moveIn joins a metastate whose members have the presences of other machines.
func (f *flat) moveIn(t *testing.T, name string, others ...int) {
	t.Helper()
	r := p2p.NewMemReplica(fmt.Sprint(name, " of ", f.machine), secretOf[name])
	for _, o := range others {
		r.Know(true, id(o))
	}
	m, err := f.Join(r)
	if err != nil {
		t.Fatal(err)
	}
	f.members[name], f.replicas[name] = m, r
	for _, o := range others {
		add(t, m, o)
	}
}

// say writes a record in a metastate and gossips it.
func (f *flat) say(t *testing.T, name, text string) {
	t.Helper()
	if err := f.members[name].Publish(p2p.Records, f.replicas[name].Add(plane, text)); err != nil {
		t.Fatal(err)
	}
}

// Two nodes have two metastates on one presence each. A third takes part in the
// second only; it also has the first one's secret, as somebody who was expelled
// from it has.
func TestSharedPresence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		defer n.Close()
		x, y := newFlat(t, n, 0), newFlat(t, n, 1)
		for _, name := range []string{"a", "b"} {
			x.moveIn(t, name, 1)
			y.moveIn(t, name, 0)
		}
		spy := p2p.NewMemReplica("b of 2", secretOf["b"], secretOf["a"])
		spy.Know(true, id(0), id(1))
		z, err := p2p.NewMember(p2p.Config{Seed: seed(2), Underlay: n.Underlay(2, port)}, spy)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range []*flat{x, y} {
			f.replicas["b"].Know(true, id(2))
			add(t, f.members["b"], 2)
			add(t, z, f.machine)
		}
		eventually(t, time.Minute, "all connect", func() bool { return peers(z) == 2 && peers(x.members["a"]) > 0 && peers(y.members["b"]) > 1 })
		time.Sleep(5 * time.Second) // meshes form

		x.say(t, "a", "for a")
		x.say(t, "b", "for b")
		eventually(t, time.Minute, "each hears its own", func() bool {
			return y.replicas["a"].Has("for a") && y.replicas["b"].Has("for b") && spy.Has("for b")
		})
		if y.replicas["b"].Has("for a") || y.replicas["a"].Has("for b") {
			t.Error("a record went to another metastate")
		}
		if n, _, err := x.members["a"].Push(t.Context(), p2p.Records, x.replicas["a"].Add(plane, "pushed")); n != 1 || err != nil {
			t.Errorf("%d peers of a took what was pushed, want 1: %v", n, err)
		}
		forged := p2p.NewMemReplica("", secretOf["a"]).Add(plane, "forged")
		_, _, _ = z.Push(t.Context(), p2p.Records, forged)
		_ = z.Publish(p2p.Records, forged)
		if res, err := z.SyncNow(t.Context()); err != nil || res.Peers == 0 {
			t.Error("a peer of b can't sync b:", res, err)
		}
		spy.SetSecrets(secretOf["a"]) // and greets under that alone
		_ = z.Publish(p2p.Records, forged)
		if res, _ := z.SyncNow(t.Context()); res.Peers != 0 {
			t.Error("whom only b knows was let into a")
		}
		time.Sleep(10 * time.Minute)
		for _, text := range []string{"for a", "pushed"} {
			if spy.Has(text) {
				t.Errorf("whom only b knows got %q of a", text)
			}
		}
		if x.replicas["a"].Has("forged") || y.replicas["a"].Has("forged") {
			t.Error("whom only b knows wrote in a")
		}

		// A metastate that comes later needs no new connection.
		before := x.members["a"].Metrics().Dials
		x.moveIn(t, "c", 1)
		time.Sleep(time.Second) // it has told y
		y.moveIn(t, "c", 0)
		time.Sleep(5 * time.Second)
		x.say(t, "c", "for c")
		eventually(t, 10*time.Second, "the third is heard", func() bool { return y.replicas["c"].Has("for c") })
		y.say(t, "c", "back")
		eventually(t, 10*time.Second, "who came first hears, too", func() bool { return x.replicas["c"].Has("back") })
		if now := x.members["a"].Metrics().Dials; now != before {
			t.Errorf("%d dials for a metastate that moved in", now-before)
		}

		// One that goes leaves the others as they are.
		if err := x.members["b"].Close(); err != nil {
			t.Error(err)
		}
		eventually(t, time.Minute, "who was in b only is parted from", func() bool { return peers(z) == 1 })
		x.say(t, "a", "after b")
		eventually(t, 10*time.Second, "a goes on", func() bool { return y.replicas["a"].Has("after b") })
		for _, f := range []interface{ Close() error }{x, y, z} {
			if err := f.Close(); err != nil {
				t.Error(err)
			}
		}
	})
}

// Whoever one metastate of a presence no longer knows hears nothing more of it,
// though another knows them still.
func TestSharedPresenceForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		defer n.Close()
		flats := []*flat{newFlat(t, n, 0), newFlat(t, n, 1), newFlat(t, n, 2)}
		x, y, z := flats[0], flats[1], flats[2]
		for _, name := range []string{"a", "b"} {
			x.moveIn(t, name, 1, 2)
			y.moveIn(t, name, 0)
			z.moveIn(t, name, 0)
		}
		eventually(t, time.Minute, "they connect", func() bool { return peers(x.members["a"]) == 2 })
		time.Sleep(5 * time.Second)
		x.replicas["a"].Know(false, id(1))
		if err := x.members["a"].Refresh(); err != nil {
			t.Fatal(err)
		}
		eventually(t, time.Minute, "b meets again", func() bool { return peers(x.members["b"]) == 2 })
		time.Sleep(5 * time.Second)
		z.say(t, "a", "not for y either")
		x.say(t, "a", "not for y")
		x.say(t, "b", "for y")
		eventually(t, 10*time.Second, "the others go on", func() bool {
			return y.replicas["b"].Has("for y") && z.replicas["a"].Has("not for y") && x.replicas["a"].Has("not for y either")
		})
		_, _ = y.members["a"].SyncNow(t.Context())
		time.Sleep(10 * time.Minute)
		if y.replicas["a"].Has("not for y") || y.replicas["a"].Has("not for y either") {
			t.Error("it still hears what is said in a")
		}
		for _, f := range flats {
			if err := f.Close(); err != nil {
				t.Error(err)
			}
		}
	})
}

// A presence that is not shared takes one metastate.
func TestOwnPresenceIsForOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		defer n.Close()
		pr, err := p2p.NewPresence(p2p.Config{Seed: seed(0), Underlay: n.Underlay(0, port)})
		if err != nil {
			t.Fatal(err)
		}
		defer pr.Close()
		if _, err := pr.Join(p2p.NewMemReplica("a", secretOf["a"])); err != nil {
			t.Fatal(err)
		}
		if _, err := pr.Join(p2p.NewMemReplica("b", secretOf["b"])); err == nil {
			t.Error("a second metastate moved in")
		}
	})
}
