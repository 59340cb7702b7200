package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/metastate-p2p/metastate/protocol/bundle"
	"github.com/metastate-p2p/metastate/protocol/state"
)

// childImport begins to take in a file, of which the end does not come.
func childImport(ctx context.Context, n *Node, path string) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	_, err = n.Communities()[0].Import(ctx, io.MultiReader(bytes.NewReader(b[:len(b)-100]), stuck{}), false)
	return err
}

// stuck says so when it is read, and gives nothing.
type stuck struct{}

func (stuck) Read([]byte) (int, error) {
	fmt.Println("stuck")
	select {}
}

// A node that is killed while it takes in a sealed bundle has what came before,
// and takes in the rest when it is given the file again; all of it is there once.
func TestKilledMidImport(t *testing.T) {
	const invites = importBatch + 300 // so that a batch is taken in before the last sealed block is asked for
	founder := mustOpen(t, Config{Ephemeral: true, Listen: []string{"/ip4/127.0.0.1/tcp/0"}})
	a := foundAs(t, founder, "Free Coders", "Anna")
	dir := newFolder(t)
	nb := mustOpen(t, folderConfig(dir))
	b, _ := enterBy(t, nb, a, "Boris")
	await(t, b, "on the roll", func() bool { return b.replica.onRoll() })
	if err := nb.Close(); err != nil {
		t.Fatal(err)
	}
	for made := 0; made < invites; {
		changed := a.Changed()
		if _, err := a.CreateInvite(t.Context(), InviteRequest{}); err == nil {
			made++
		} else if errors.Is(err, state.ErrRefused) { // as many as may wait for one checkpoint
			<-changed
		} else {
			t.Fatal(err)
		}
	}
	await(t, a, "all is final", func() bool { return a.Status().Provisional == 0 })
	var file bytes.Buffer
	total, err := a.Export(t.Context(), &file, BundleRequest{Sealed: true})
	if err != nil {
		t.Fatal(err)
	}
	want := a.Status().Checkpoint
	if err := founder.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "bundle")
	if err := os.WriteFile(path, file.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	v := spawn(t, "import", dir, path)
	v.says("stuck")
	v.kill()
	nb = mustOpen(t, folderConfig(dir))
	b = nb.Communities()[0]
	if n := b.store.Len(); n < importBatch || n >= uint64(total) {
		t.Errorf("%d of %d records are there after the kill", n, total)
	}
	again, err := b.Import(t.Context(), bytes.NewReader(file.Bytes()), false)
	if err != nil || len(again.Refused) > 0 || again.Duplicate < importBatch || again.Imported == 0 || again.Imported+again.Duplicate != total {
		t.Errorf("again: %d taken in, %d there, of %d; %v, %v", again.Imported, again.Duplicate, total, again.Refused, err)
	}
	if got := b.Status(); got.Checkpoint != want || got.Provisional != 0 {
		t.Errorf("at %+v, others at %+v", got, want)
	}
	once, err := b.Import(t.Context(), bytes.NewReader(file.Bytes()), false)
	if err != nil || once.Imported != 0 || once.Duplicate != total {
		t.Errorf("a third time: %+v, %v", once, err)
	}
}

// A bundle sealed for members is opened by members alone, and a damaged one is
// named where it is.
func TestSealedForMembers(t *testing.T) {
	a := foundAs(t, onLoopback(t), "Free Coders", "Anna")
	b, _ := enterBy(t, onLoopback(t), a, "Boris")
	stranger := foundAs(t, onLoopback(t), "Chess Club", "Eve")
	if _, err := a.CreateInvite(t.Context(), InviteRequest{}); err != nil {
		t.Fatal(err)
	}
	var file bytes.Buffer
	n, err := a.Export(t.Context(), &file, BundleRequest{Since: 1, Sealed: true})
	if err != nil || n == 0 {
		t.Fatal(n, err)
	}
	if id := a.ID(); bytes.Contains(file.Bytes(), id[:]) {
		t.Error("it shows whose it is")
	}
	if got, err := b.Import(t.Context(), bytes.NewReader(file.Bytes()), false); err != nil || len(got.Refused) > 0 || got.Imported+got.Duplicate != n {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := stranger.Import(t.Context(), bytes.NewReader(file.Bytes()), false); AsError(err).Code != "other-metastate" || !errors.Is(err, bundle.ErrOtherKey) {
		t.Errorf("a stranger: %v", err)
	}
	cut := file.Bytes()[:file.Len()-100]
	if got, err := b.Import(t.Context(), bytes.NewReader(cut), true); err != nil || got.Damaged == 0 || got.Refused[0].Offset == nil {
		t.Errorf("cut short: %+v, %v", got, err)
	}
	var locked bytes.Buffer
	s, err := bundle.NewSealer(&locked, bundle.NewSeal(bundle.WithPassphrase), random32())
	if err == nil {
		err = s.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Import(t.Context(), &locked, false); AsError(err).Code != "bundle-sealed" {
		t.Errorf("under a passphrase: %v", err)
	}
}
