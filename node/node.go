package node

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/metastate-p2p/metastate/identity/vault"
	"github.com/metastate-p2p/metastate/node/internal/p2p"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/store"
)

// Config says where a node lives and how it meets others. The zero Config with
// Ephemeral set is a node in memory.
type Config struct {
	// Dir is the node's folder, 0700. Not used when Ephemeral.
	Dir string
	// Ephemeral keeps everything in memory, and makes an identity that is
	// forgotten at Close.
	Ephemeral bool
	// Passphrase gives the vault's, afresh each time persona keys are needed. The
	// node wipes what it returns. Nil: callers send it with what needs it.
	Passphrase func() ([]byte, error)
	// Listen are multiaddrs. A fixed port is the first lobby's; every other
	// presence picks its own at the same addresses. Empty: all interfaces.
	Listen []string
	// History says what a newcomer does about the time before it came.
	History History
	// Log takes diagnostics, without keys or members' data. Nil: none.
	Log *slog.Logger

	underlay  p2p.Underlay  // tests and simulations bring their own network
	syncEvery time.Duration // tests
	shortest  uint64        // tests: the history, in heights, for which a snapshot is taken
}

// A History is what a newcomer does about the time before it came.
type History int

const (
	// HistoryLater: of a long history it takes a snapshot, is usable at once, and
	// fetches the rest in the background. A short one it recomputes.
	HistoryLater History = iota
	// HistoryFirst: it fetches and recomputes everything before it shows
	// anything, and trusts no clerk for it.
	HistoryFirst
	// HistoryNever: it takes a snapshot, and what was before stays with others.
	HistoryNever
)

// A Node is a person's part in any number of metastates. Its methods are safe
// for concurrent use.
type Node struct {
	cfg   Config
	log   *slog.Logger
	vault vaultFile

	joinMu sync.Mutex // held while a community is added
	mu     sync.Mutex
	open   []*Community // guarded by mu: in the order they were added
	spare  *p2p.Lobby   // guarded by mu: the first lobby while there is no community
	seed   [32]byte     // guarded by mu: the spare lobby's
	closed bool         // guarded by mu
}

// Open starts a node: it unlocks the vault if there is one, keeps the device
// keys only, and takes up every citizenship.
func Open(ctx context.Context, cfg Config) (*Node, error) {
	n := &Node{cfg: cfg, log: cfg.Log}
	if n.log == nil {
		n.log = slog.New(slog.DiscardHandler)
	}
	if len(cfg.Listen) == 0 {
		n.cfg.Listen = anywhere
	}
	if !cfg.Ephemeral && cfg.Dir == "" {
		return nil, errors.New("node: no folder given")
	}
	n.vault = openVault(cfg)
	daily, err := n.vault.daily()
	if err != nil {
		return nil, err
	}
	for _, d := range daily {
		if _, err := n.take(d); err != nil {
			return nil, errors.Join(err, n.Close())
		}
	}
	if len(daily) == 0 {
		if err := n.openSpare(); err != nil {
			return nil, errors.Join(err, n.Close())
		}
	}
	return n, nil
}

// openSpare opens the first lobby before there is a community, so that its port
// is taken and known.
func (n *Node) openSpare() error {
	seed := random32()
	l, err := p2p.NewLobby(p2p.Config{Seed: seed, Listen: n.cfg.Listen, Underlay: n.cfg.underlay, Log: n.log},
		func(context.Context, string, []byte) ([]byte, error) {
			return nil, errors.New("nothing to join here yet")
		})
	if err != nil {
		return err
	}
	n.spare, n.seed = l, seed
	return nil
}

// closeSpare ends the spare lobby, and returns its seed and where it listened,
// for the first community to take over.
func (n *Node) closeSpare() (seed [32]byte, listen []string, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return seed, nil, errClosed()
	}
	if n.spare == nil {
		return random32(), nil, nil
	}
	listen = samePorts(n.cfg.Listen, portsOf(n.spare.Addrs()))
	err = n.spare.Close()
	seed, n.spare, n.seed = n.seed, nil, [32]byte{}
	return seed, listen, err
}

// Locked reports whether there is no vault, so that the node can neither found
// nor join.
func (n *Node) Locked() bool { return !n.vault.exists() }

// take opens a citizenship's store and begins.
func (n *Node) take(d vault.Daily) (*Community, error) {
	st, err := n.openStore(d)
	if err != nil {
		return nil, err
	}
	return n.begin(d, st, nil)
}

// begin starts a community on its store. lobby is where the first lobby
// listened already, if it did.
func (n *Node) begin(d vault.Daily, st *store.Store, lobby []string) (*Community, error) {
	n.mu.Lock()
	ordinal := len(n.open) + 1
	n.mu.Unlock()
	c := newCommunity(d, st, network{
		listen: n.cfg.Listen, lobby: lobby, first: ordinal == 1, underlay: n.cfg.underlay, syncEvery: n.cfg.syncEvery, history: n.cfg.History, shortest: n.cfg.shortest,
		find: n.lookup,
	}, n.log.With("community", ordinal))
	if err := c.start(); err != nil {
		return nil, errors.Join(err, c.close())
	}
	n.mu.Lock()
	closed := n.closed
	if !closed {
		n.open = append(n.open, c)
	}
	n.mu.Unlock()
	if closed { // while it was entered: nobody else would close it
		return nil, errors.Join(errClosed(), c.close())
	}
	return c, nil
}

func errClosed() error {
	return &Error{Code: "closed", Exit: ExitFailed, Message: "the node is shutting down"}
}

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

// reopen opens a store after its rebuilding, with a mark for the clerk if what
// it signed may be lost.
func (n *Node) reopen(cfg store.Config, report store.Report) (*store.Store, error) {
	st, err := store.Open(cfg)
	if err != nil {
		return nil, storeError(err)
	}
	if report.PrivateUncertain {
		if err := st.PutPrivate(privRebuilt, []byte(time.Now().UTC().Format(time.RFC3339))); err != nil {
			return nil, errors.Join(storeError(err), st.Close())
		}
	}
	return st, nil
}

// Communities are the metastates this node takes part in.
func (n *Node) Communities() []*Community {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.open)
}

func (n *Node) lookup(ms protocol.ID) *Community {
	for _, c := range n.Communities() {
		if c.id == ms {
			return c
		}
	}
	return nil
}

// Status is how each metastate stands here.
func (n *Node) Status() []Status {
	out := []Status{}
	for _, c := range n.Communities() {
		out = append(out, c.Status())
	}
	return out
}

// Community finds a metastate by id, unique beginning of one, or name; with an
// empty ref the only one.
func (n *Node) Community(ref string) (*Community, error) {
	all := n.Communities()
	const hint = "metastate list"
	if ref == "" {
		switch len(all) {
		case 0:
			return nil, &Error{Code: "not-found", Exit: ExitNotFound, Message: "this node takes part in no metastate yet", Hint: "metastate found NAME, or metastate join LINK"}
		case 1:
			return all[0], nil
		}
		return nil, &Error{Code: "ambiguous", Exit: ExitUsage, Message: fmt.Sprintf("this node takes part in %d metastates", len(all)), Hint: "say which with --metastate; metastate list shows them"}
	}
	var named []*Community
	for _, c := range all {
		if s := c.Status(); s.Name == ref || c.daily.Alias == ref {
			named = append(named, c)
		}
	}
	if len(named) == 1 {
		return named[0], nil
	}
	if len(named) > 1 {
		return nil, &Error{Code: "ambiguous", Exit: ExitUsage, Message: fmt.Sprintf("%d metastates are named %q", len(named), ref), Hint: "give the id; " + hint}
	}
	id, err := find("metastate", ref, hint, func(yield func(protocol.ID) bool) {
		for _, c := range all {
			if !yield(c.id) {
				return
			}
		}
	})
	if err != nil {
		return nil, err
	}
	return n.lookup(id), nil
}

// Listen is where the lobbies can be reached, with the peer ids to expect.
func (n *Node) Listen() []string {
	n.mu.Lock()
	lobbies := []*p2p.Lobby{}
	if n.spare != nil {
		lobbies = append(lobbies, n.spare)
	}
	open := slices.Clone(n.open)
	n.mu.Unlock()
	for _, c := range open {
		c.mu.Lock()
		if c.lobby != nil {
			lobbies = append(lobbies, c.lobby)
		}
		c.mu.Unlock()
	}
	out := []string{}
	for _, l := range lobbies {
		for _, a := range l.Addrs() {
			out = append(out, a+"/p2p/"+l.ID())
		}
	}
	return out
}

// Close stops the node and waits for everything it started.
func (n *Node) Close() error {
	n.mu.Lock()
	if n.closed {
		n.mu.Unlock()
		return nil
	}
	n.closed = true
	open, spare := n.open, n.spare
	n.open, n.spare = nil, nil
	n.mu.Unlock()
	var errs []error
	for _, c := range open {
		errs = append(errs, c.close())
	}
	if spare != nil {
		errs = append(errs, spare.Close())
	}
	n.joinMu.Lock() // who is entering a metastate sees that the node closes
	defer n.joinMu.Unlock()
	n.vault.wipe()
	return errors.Join(errs...)
}
