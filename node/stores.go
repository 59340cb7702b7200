package node

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/metastate-p2p/metastate/identity/vault"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/store"
)

// storeDir is where a metastate's store is.
func (n *Node) storeDir(ms protocol.ID) string {
	return filepath.Join(n.cfg.Dir, "metastates", hex.EncodeToString(ms[:16]))
}

// sweep removes a store that an interrupted entry left, whose key is in no
// vault. Nothing in it was ever sent.
func (n *Node) sweep(ms protocol.ID) error {
	if n.cfg.Ephemeral {
		return nil
	}
	if err := os.Remove(restPath(n.storeDir(ms))); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.RemoveAll(n.storeDir(ms))
}

// openStore opens a citizenship's store, rebuilding one that is damaged.
func (n *Node) openStore(d vault.Daily) (*store.Store, error) {
	key := [32]byte(d.StoreKey)
	cfg := store.Config{Key: key[:], Logger: n.log}
	if n.cfg.Ephemeral {
		cfg.InMemory = true
	} else {
		cfg.Dir = n.storeDir(protocol.ID(d.Metastate))
		if err := os.MkdirAll(filepath.Dir(cfg.Dir), 0o700); err != nil {
			return nil, fmt.Errorf("node: %w", err)
		}
	}
	st, err := store.Open(cfg)
	if damage, ok := errors.AsType[*store.DamagedError](err); ok {
		n.log.Error("a store is damaged and is rebuilt from what still verifies; peers bring the rest", "what", damage.What)
		report, err := store.Rebuild(cfg)
		if err != nil {
			return nil, fmt.Errorf("node: rebuilding a damaged store: %w", err)
		}
		return n.reopen(cfg, report)
	}
	if err != nil {
		return nil, storeError(err)
	}
	return st, nil
}

// reopen opens a store after its rebuilding, with marks for the clerk and the
// trustee if what they signed may be lost.
func (n *Node) reopen(cfg store.Config, report store.Report) (*store.Store, error) {
	st, err := store.Open(cfg)
	if err != nil {
		return nil, storeError(err)
	}
	if report.PrivateUncertain {
		now := []byte(time.Now().UTC().Format(time.RFC3339))
		if err := st.PutPrivates(map[string][]byte{privRebuilt: now, privUncertain: now}); err != nil {
			return nil, errors.Join(storeError(err), st.Close())
		}
	}
	return st, nil
}

// OpenStores is how many communities are awake.
func (n *Node) OpenStores() (open int) {
	for _, c := range n.Communities() {
		c.mu.Lock()
		if c.store != nil {
			open++
		}
		c.mu.Unlock()
	}
	return open
}
