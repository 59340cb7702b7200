package node

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/metastate-p2p/metastate/node/internal/p2p"
	"github.com/metastate-p2p/metastate/store"
)

// drowsy is a node whose communities rest soon, and of which few are awake.
func drowsy(dir string) Config {
	cfg := folderConfig(dir)
	cfg.restAfter, cfg.maxAwake = 300*time.Millisecond, 3
	return cfg
}

// inVain is how long tests wait for what comes in a second. A new member that could
// meet nobody at first knocks after 5, 15, 35 and 75 s, and on a machine that is
// busy with other tests as well it may need some of these.
const inVain = 3 * time.Minute

// eventually waits until something holds that announces no change.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	end := time.Now().Add(inVain)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		if time.Now().After(end) {
			t.Fatalf("waited in vain: %s", what)
		}
		<-tick.C
	}
}

func (c *Community) sleeps() bool {
	_, s := c.at()
	return s != nil
}

// At rest a community says how it stands and tells a peer that holds the same so,
// and stays at rest; what somebody writes wakes it, and so does a deadline its
// device has to make a checkpoint for.
func TestRest(t *testing.T) {
	anna, boris := mustOpen(t, drowsy(newFolder(t))), mustOpen(t, drowsy(newFolder(t)))
	x := mustFound(t, anna, "Xylophones", "")
	b := mustJoin(t, boris, x, "")
	asleep := func() { t.Helper(); eventually(t, "both are at rest", func() bool { return x.sleeps() && b.sleeps() }) }
	asleep()
	rest := x.Status()
	if n := anna.OpenStores() + boris.OpenStores(); n != 0 {
		t.Errorf("%d stores are open at rest", n)
	}
	if l := x.book(); l == nil || x.sleeps() {
		t.Fatal("it does not wake")
	} else if awake := x.Status(); fmt.Sprintf("%+v", awake) != fmt.Sprintf("%+v", rest) {
		t.Errorf("at rest it says\n%+v, awake\n%+v", rest, awake)
	}
	asleep()
	for range 3 {
		res, err := b.presence().SyncNow(t.Context())
		if err != nil || res.Peers != 1 || res.Failed != 0 {
			t.Errorf("a sync at rest: %+v, %v", res, err)
		}
	}
	if !x.sleeps() || !b.sleeps() {
		t.Error("a sync with an equal peer woke somebody")
	}

	p, err := b.Propose(t.Context(), ProposeRequest{Title: "Wake up", ClosesIn: 3 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "Boris votes", func() bool { _, err := b.Vote(t.Context(), p.Proposal.String(), "yes"); return err == nil })
	eventually(t, "nothing is left to make final", func() bool { return x.Status().Provisional+b.Status().Provisional == 0 })
	asleep()
	at := x.Status().Checkpoint.Height
	eventually(t, "the vote's end wakes Anna, its checkpoint Boris", func() bool {
		s := b.Status()
		return s.Checkpoint.Height > at && s.Checkpoint == x.Status().Checkpoint
	})
	eventually(t, "the vote is over", func() bool { got, err := b.Tally(p.Proposal.String()); return err == nil && got.Final })
	if got, _ := x.Tally(p.Proposal.String()); !got.Final || got.Votes["yes"] != 1 {
		t.Errorf("%+v", got)
	}
}

// What a device wrote and no clerk has covered keeps it awake.
func TestNoRestBeforeFinal(t *testing.T) {
	anna, boris := mustOpen(t, drowsy(newFolder(t))), mustOpen(t, drowsy(newFolder(t)))
	x := mustFound(t, anna, "Xylophones", "")
	b := mustJoin(t, boris, x, "")
	eventually(t, "Boris rests", b.sleeps)
	if err := anna.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Propose(t.Context(), ProposeRequest{Title: "Anybody there?", ClosesIn: time.Hour}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "nobody has used it for long", func() bool { _, ok := b.unused(time.Second); return ok })
	if b.tryRest(0) || b.sleeps() {
		t.Error("it rests, and offers what it wrote to nobody")
	}
}

// However many metastates there are, few stores are open, and each answers.
func TestFewStoresOpen(t *testing.T) {
	cfg := drowsy(newFolder(t))
	n := mustOpen(t, cfg)
	var all []*Community
	for i := range 8 {
		all = append(all, mustFound(t, n, fmt.Sprint("Metastate ", i), "home"))
	}
	for range 2 {
		for i, c := range all {
			if s := c.Snapshot(); s == nil || s.Final.Name() != fmt.Sprint("Metastate ", i) {
				t.Fatal("another answers, or none")
			}
			eventually(t, "there is room", func() bool { return n.OpenStores() <= cfg.maxAwake })
		}
	}
	eventually(t, "all rest", func() bool { return n.OpenStores() == 0 })
	eventually(t, "nothing is open, file by file", func() bool { return len(openFiles(t, cfg.Dir)) == 0 })
	first, hold := all[0], []func(){}
	for _, c := range all[:5] { // who is at work is not put to rest, though there are too many
		release, err := c.Hold()
		if err != nil {
			t.Fatal(err)
		}
		hold = append(hold, release)
	}
	if first.tryRest(0) || n.OpenStores() != 5 {
		t.Error("somebody's store was closed while they worked:", n.OpenStores())
	}
	for _, release := range hold {
		release()
	}
	eventually(t, "they rest, too", func() bool { return n.OpenStores() == 0 })
}

// openFiles are those that this process has open in the stores of a folder.
func openFiles(t *testing.T, dir string) (list []string) {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return nil // nothing to see here
	}
	for _, fd := range fds {
		if name, err := os.Readlink("/proc/self/fd/" + fd.Name()); err == nil && len(name) > len(dir) && name[:len(dir)] == dir &&
			name != VaultPath(dir) && slices.Contains([]byte(name[len(dir):]), 'm') {
			list = append(list, name)
		}
	}
	return list
}

// A node begins with what it left at rest without opening it, and with what
// changed since by opening it.
func TestRestartAtRest(t *testing.T) {
	cfg := drowsy(newFolder(t))
	cfg.restAfter = time.Hour
	n := mustOpen(t, cfg)
	x, y := mustFound(t, n, "Xylophones", "home"), mustFound(t, n, "Yodellers", "home")
	z := mustFound(t, n, "Zitherists", "")
	if !x.tryRest(0) {
		t.Fatal("it does not rest")
	}
	want, on := n.Status(), z.on()
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	open := func() {
		t.Helper()
		n = mustOpen(t, cfg)
		x, y, z = n.lookup(x.id), n.lookup(y.id), n.lookup(z.id)
	}
	open()
	if !x.sleeps() || !y.sleeps() || !z.sleeps() || n.OpenStores() != 0 {
		t.Error("it does not begin at rest")
	}
	if got := n.Status(); fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) || z.on() != on {
		t.Errorf("it began with\n%+v, want\n%+v", got, want)
	}
	late := mustOpen(t, folderConfig(newFolder(t)))
	mustJoin(t, late, y, "")
	if err := late.Close(); err != nil { // nobody wakes it again
		t.Fatal(err)
	}
	eventually(t, "who welcomed somebody is done with it", func() bool { return y.tryRest(0) })
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}

	st, err := n.openStore(x.daily) // something else happens to it
	if err != nil {
		t.Fatal(err)
	}
	if err := st.PutPrivate("x", []byte("y")); err != nil {
		t.Fatal(err)
	}
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(restPath(z.net.dir), []byte("torn"), 0o600); err != nil {
		t.Fatal(err)
	}
	open()
	if x.sleeps() || z.sleeps() || !y.sleeps() {
		t.Error("what is kept of a store that changed is believed, or a torn file is, or a sound one is not:", x.sleeps(), z.sleeps(), y.sleeps())
	}
	if s := y.Snapshot(); s == nil || s.Final.Roll().Size() != 2 {
		t.Error("who joined is not there")
	}
}

// While some write and others put to rest at every moment, nothing fails and
// nothing is lost.
func TestRestUnderWork(t *testing.T) {
	cfg := drowsy(newFolder(t))
	cfg.restAfter = time.Hour // the test does it
	n := mustOpen(t, cfg)
	var all []*Community
	for i := range 3 {
		all = append(all, mustFound(t, n, fmt.Sprint("Metastate ", i), "home"))
	}
	ctx, cancel := context.WithCancel(t.Context())
	var writers, resters sync.WaitGroup
	rested := 0
	resters.Go(func() {
		for ctx.Err() == nil {
			for _, c := range all {
				if c.tryRest(0) {
					rested++
				}
			}
		}
	})
	const each = 12
	for _, c := range all {
		for w := range 2 {
			writers.Go(func() {
				for i := range each {
					if _, err := c.CreateInvite(ctx, InviteRequest{}); err != nil {
						t.Errorf("writer %d, invite %d: %v", w, i, err)
					}
					_ = c.Status()
					d := doorkeeper{c}
					secret := d.Epochs()[0].Secret
					_ = d.Resting(secret)
					h, release, err := d.Under(secret)
					if err != nil {
						t.Error(err)
						return
					}
					if _, err := p2p.Survey(h); err != nil {
						t.Error(err)
					}
					release()
				}
			})
		}
	}
	writers.Wait()
	for _, c := range all {
		eventually(t, "all is final", func() bool { s := c.Snapshot(); return s != nil && len(s.Open) == 0 })
		if got := len(c.Invites()); got != 2*each {
			t.Errorf("%d invites, want %d", got, 2*each)
		}
	}
	cancel()
	resters.Wait()
	t.Log("put to rest", rested, "times")
	if rested == 0 {
		t.Error("nothing was ever put to rest")
	}
}

// A store that can't be opened leaves the community at rest, says so, and is
// tried again: ever more rarely, whoever asks.
func TestRestWhoseStoreIsGone(t *testing.T) {
	cfg := drowsy(newFolder(t))
	cfg.restAfter = time.Hour
	n := mustOpen(t, cfg)
	x := mustFound(t, n, "Xylophones", "")
	if !x.tryRest(0) {
		t.Fatal("it does not rest")
	}
	held, err := store.Open(store.Config{Dir: x.net.dir, Key: x.daily.StoreKey[:]}) // somebody else has it
	if err != nil {
		t.Fatal(err)
	}
	var opened atomic.Int64
	open := x.net.stores.open
	x.net.stores.open = func() (*store.Store, error) {
		opened.Add(1)
		return open()
	}
	again := func() { // as if the time had passed
		x.mu.Lock()
		defer x.mu.Unlock()
		x.failed.until = time.Time{}
	}
	for wait := leastSetback; wait < 3*mostSetback; wait *= 2 {
		n := opened.Load()
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				if _, err := x.Hold(); !errors.Is(err, store.ErrLocked) {
					t.Errorf("%v", err)
				}
			})
		}
		all.Wait()
		if tried := opened.Load() - n; tried != 1 || x.failed.wait != min(wait, mostSetback) {
			t.Fatalf("opened %d times, and then left alone for %v", tried, x.failed.wait)
		}
		again()
	}
	if _, err := x.CreateInvite(t.Context(), InviteRequest{}); err == nil {
		t.Error("an invite was made in nothing")
	}
	if s := x.Status(); s.Name != "Xylophones" {
		t.Errorf("%+v", s)
	}
	if err := held.Close(); err != nil {
		t.Fatal(err)
	}
	again()
	if _, err := x.CreateInvite(t.Context(), InviteRequest{}); err != nil {
		t.Error(err)
	}
}
