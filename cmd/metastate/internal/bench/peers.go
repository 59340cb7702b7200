package bench

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/identity/vault"
	"github.com/metastate-p2p/metastate/node"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/bundle"
)

// passphrase is that of vaults that are made here and removed again.
const passphrase = "measured and forgotten"

// patience is how long anything may take that a node does by itself.
const patience = 5 * time.Minute

// openNode starts a node of somebody with citizenships, that keeps its files in
// dir and listens on loopback. bulk may be nil, see [node.Config].
func openNode(ctx context.Context, dir string, bulk func(bool), citizenships ...vault.Citizenship) (*node.Node, error) {
	cheap := vault.Params{MemoryKiB: vault.MinMemoryKiB, Passes: 1, Lanes: 1}
	c := &vault.Contents{Entropy: identity.GenerateEntropy(), Citizenships: citizenships}
	if err := vault.Create(node.VaultPath(dir), []byte(passphrase), c, cheap); err != nil {
		return nil, err
	}
	return reopenNode(ctx, dir, bulk)
}

// reopenNode starts a node again that openNode started.
func reopenNode(ctx context.Context, dir string, bulk func(bool)) (*node.Node, error) {
	return node.Open(ctx, node.Config{
		Dir: dir, Listen: []string{"/ip4/127.0.0.1/tcp/0"}, Bulk: bulk,
		Passphrase: func() ([]byte, error) { return []byte(passphrase), nil },
	})
}

// settle waits until ok holds of a community, looking at every change.
func settle(ctx context.Context, c *node.Community, what string, ok func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		changed := c.Changed()
		if ok() {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("waiting until %s: %w", what, ctx.Err())
		}
	}
}

// bring gives a community records that nobody refuses.
func bring(ctx context.Context, c *node.Community, records []*protocol.Record) error {
	var file bytes.Buffer
	w, err := bundle.NewWriter(&file, bundle.Manifest{
		Metastate: c.ID(), Records: uint64(len(records)), Digest: bundle.Digest(func(yield func(protocol.ID) bool) {
			for _, r := range records {
				if !yield(r.ID()) {
					return
				}
			}
		}),
	})
	if err != nil {
		return err
	}
	for _, r := range records {
		if err := w.Record(r.Inner()); err != nil {
			return err
		}
	}
	if err := w.Close(); err != nil {
		return err
	}
	got, err := c.Import(ctx, &file, false)
	if err == nil && (got.Imported != len(records) || len(got.Refused) > 0) {
		err = fmt.Errorf("of %d records %d were taken in, and these refused: %+v", len(records), got.Imported, got.Refused[:min(3, len(got.Refused))])
	}
	return err
}
