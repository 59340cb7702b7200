package node

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/decision"
	"github.com/metastate-p2p/metastate/protocol/state"
	"github.com/metastate-p2p/metastate/store"
)

// TestFullDisk has a node live on a file system of 16 MB, in a process of its
// own: a database that writes into mapped files can die of a full disk.
func TestFullDisk(t *testing.T) {
	disk := t.TempDir()
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=16m"); err != nil {
		t.Skipf("mounting a small file system needs root: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(disk, 0); err != nil {
			t.Error(err)
		}
	})
	v := spawn(t, "fill", disk)
	last := ""
	for v.out.Scan() {
		last = v.out.Text()
		t.Log(last)
	}
	if err := v.cmd.Wait(); err != nil {
		t.Fatalf("%v, after %q", err, last)
	}
}

// A hoarder proposes until the disk is full. Most proposals are void, as the
// rules bound how many wait for a vote; all are kept.
type hoarder struct {
	c     *Community
	acked []protocol.ID // proposals that were acknowledged
}

func childFill(disk string) error {
	dir, other, rest := filepath.Join(disk, "data"), filepath.Join(disk, "other"), filepath.Join(disk, "rest")
	if err := os.WriteFile(other, make([]byte, 4<<20), 0o600); err != nil {
		return err
	}
	if err := createVault(dir); err != nil {
		return err
	}
	n, err := Open(context.Background(), folderConfig(dir))
	if err != nil {
		return err
	}
	m, err := n.Found(context.Background(), FoundRequest{Name: "Free Coders"})
	if err != nil {
		return err
	}
	h := &hoarder{c: n.lookup(m.Metastate)}
	if err := h.works(); err != nil {
		return err
	}
	for _, round := range []string{"first", "again"} {
		if err := h.fill(); err != nil {
			return err
		}
		fmt.Println(round, "refused after", len(h.acked), "proposals")
		if err := takeAll(rest); err != nil { // others take what is left, to the last page
			return err
		}
		if err := h.refused(); err != nil {
			return err
		}
		if err := errors.Join(os.Remove(rest), os.RemoveAll(other)); err != nil {
			return err
		}
		was := len(h.acked)
		if err := h.works(); err != nil {
			return fmt.Errorf("after space returned: %w", err)
		}
		if t := h.c.Status().Trouble; t != "" {
			return fmt.Errorf("after space returned: %s", t)
		}
		if round == "first" && len(h.acked) == was {
			return errors.New("nothing more was taken")
		}
		if err := os.WriteFile(other, make([]byte, 1<<20), 0o600); err != nil {
			return err
		}
	}
	if err := n.Close(); err != nil {
		return err
	}
	if err := os.Remove(other); err != nil {
		return err
	}
	if n, err = Open(context.Background(), folderConfig(dir)); err != nil {
		return err
	}
	h.c = n.lookup(m.Metastate)
	fmt.Println("opened again, at height", h.c.Status().Checkpoint.Height)
	return errors.Join(h.holds(), n.Close())
}

func (h *hoarder) propose() error {
	ref, err := h.c.Propose(context.Background(), ProposeRequest{
		Title: fmt.Sprint("Question ", len(h.acked)), Text: strings.Repeat("why? ", 2400), ClosesIn: 100 * time.Hour,
	})
	if err == nil {
		h.acked = append(h.acked, ref.Proposal)
	}
	return err
}

// fill proposes until it is refused for want of space.
func (h *hoarder) fill() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for {
		changed := h.c.Changed()
		switch err := h.propose(); {
		case err == nil && len(h.acked) > 5000:
			return errors.New("a disk of 16 MB takes everything")
		case err == nil:
		case errors.Is(err, state.ErrRefused): // 64 on one checkpoint; the clerk makes the next
			select {
			case <-changed:
			case <-ctx.Done():
				return fmt.Errorf("no checkpoint is made: %w; %+v", err, h.c.Status())
			}
		default:
			return fullDisk(err)
		}
	}
}

func fullDisk(err error) error {
	if e := AsError(err); e.Code != "disk-full" || !strings.Contains(e.Message, " MiB left for ") || !strings.HasPrefix(e.Hint, "free at least ") || !errors.Is(err, store.ErrFull) {
		return fmt.Errorf("on a full disk: %w", err)
	}
	return nil
}

// refused checks that acts are refused in words, that nothing of them is stored,
// and that everything can be read.
func (h *hoarder) refused() (err error) {
	st, err := h.c.disk()
	if err != nil {
		return err
	}
	before := st.Len()
	acts := map[string]func() error{
		"propose": h.propose,
		"vote":    func() error { _, err := h.c.Vote(context.Background(), h.acked[0].String(), "yes"); return err },
		"invite":  func() error { _, err := h.c.CreateInvite(context.Background(), InviteRequest{}); return err },
	}
	defer func() {
		if err == nil && !strings.HasPrefix(h.c.Status().Trouble, "the disk is full: ") {
			err = fmt.Errorf("the status of a node with a full disk: %+v", h.c.Status())
		}
	}()
	for name, act := range acts {
		err := act()
		if err == nil {
			return fmt.Errorf("%s was taken on a full disk", name)
		}
		if err := fullDisk(err); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	if after := st.Len(); after != before {
		return fmt.Errorf("%d records before acts were refused, %d after", before, after)
	}
	finality := slices.IndexFunc(h.c.examine(context.Background()), func(c Check) bool {
		return c.Name == "finality" && !c.Pass && strings.Contains(c.Detail, "the disk is full") && c.Remedy == roomRemedy
	})
	if finality < 0 {
		return errors.New("the doctor does not say that the disk is full")
	}
	if roll, err := h.c.Roll(nil, true); err != nil || len(roll.Members) != 1 {
		return fmt.Errorf("reading the roll: %+v, %w", roll, err)
	}
	return h.holds()
}

// holds checks that what was acknowledged, and nothing else, is held and can be
// read.
func (h *hoarder) holds() error {
	n := 0
	st, err := h.c.disk()
	if err != nil {
		return err
	}
	for e, err := range st.Log(0) {
		if err != nil {
			return err
		}
		r, err := h.c.book().record(e.ID)
		if err != nil {
			return fmt.Errorf("reading a record that was acknowledged: %w", err)
		}
		if r.Kind() != protocol.Propose {
			continue
		}
		body, err := protocol.Body[decision.ProposeBody](r)
		if err != nil || len(body.Text) != 12000 || !slices.Contains(h.acked, r.ID()) {
			return fmt.Errorf("a proposal that was not acknowledged, or not so: %w", err)
		}
		n++
	}
	if n != len(h.acked) {
		return fmt.Errorf("%d proposals are held, %d were acknowledged", n, len(h.acked))
	}
	return nil
}

// works proposes, and waits until the proposal is final: the clerk works,
// too.
func (h *hoarder) works() error {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := h.propose(); err != nil {
		return err
	}
	for {
		changed := h.c.Changed()
		if _, final, err := h.c.book().coveredAt(h.acked[len(h.acked)-1]); err == nil && final {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("the proposal does not become final: %+v", h.c.Status())
		}
	}
}

// takeAll writes a file until the disk is full.
func takeAll(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	for page := make([]byte, 4096); ; {
		if _, err := f.Write(page); err != nil {
			return nil
		}
	}
}
