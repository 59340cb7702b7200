package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/metastate-p2p/metastate/identity"
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
	// Profile is how the node takes part in the network; zero: ProfileMember.
	Profile Profile
	// Hidden is for ProfileHidden, which has no Listen.
	Hidden Hidden
	// Listen are multiaddrs. A fixed port is the first lobby's; every other
	// presence picks its own at the same addresses, a relay's the ports that
	// follow: a metastate's members 1 after its lobby, the next one's lobby 2.
	// Empty: all interfaces.
	Listen []string
	// Announce are addresses at which others reach what listens here, where the
	// machine does not know them: behind a name, a proxy that ends TLS, or an
	// address that its host translates. {port} stands for the port that a presence
	// listens on by the transport; without, it is the first lobby's address.
	Announce []string
	// Relays are multiaddrs with a peer id at which lobbies of relays listen, as
	// their nodes show them, to be used before others that members run.
	Relays []string
	// History says what a newcomer does about the time before it came.
	History History
	// Bulk, if set, is called with true when a session begins to move history or
	// a snapshot, and with false when that session ends; sessions may overlap. A
	// program that has the memory may let garbage wait meanwhile: on two cores the
	// collector else takes a sixth of the time.
	Bulk func(begin bool)
	// Log takes diagnostics, without keys or members' data. Nil: none.
	Log *slog.Logger

	underlay  p2p.Underlay  // tests and simulations bring their own network
	syncEvery time.Duration // tests
	restAfter time.Duration // tests: of a community, without use
	maxAwake  int           // tests: stores open at once
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

// KeysKnown is how many signers' keys a node remembers in the form that verifies
// faster, 7 MiB of them.
const KeysKnown = 4096

// A Node is a person's part in any number of metastates. Its methods are safe
// for concurrent use.
type Node struct {
	cfg   Config
	log   *slog.Logger
	vault vaultFile
	keys  *identity.Verifier

	shared residences
	room   room
	stop   context.CancelFunc
	wg     sync.WaitGroup

	joinMu sync.Mutex // held while a community is added
	mu     sync.Mutex
	relays []p2p.Peer   // cfg.Relays
	open   []*Community // guarded by mu: in the order they were added
	spare  *p2p.Lobby   // guarded by mu: the first lobby while there is no community
	seed   [32]byte     // guarded by mu: the spare lobby's
	closed bool         // guarded by mu
}

// Open starts a node: it unlocks the vault if there is one, keeps the device
// keys only, and takes up every citizenship.
func Open(ctx context.Context, cfg Config) (*Node, error) {
	n := &Node{cfg: cfg, log: cfg.Log, keys: identity.NewVerifier(KeysKnown)}
	if n.log == nil {
		n.log = slog.New(slog.DiscardHandler)
	}
	if len(cfg.Listen) == 0 {
		n.cfg.Listen = cfg.Profile.Anywhere()
	}
	if !cfg.Ephemeral && cfg.Dir == "" {
		return nil, errors.New("node: no folder given")
	}
	if cfg.Profile == ProfileHidden {
		if err := cfg.Hidden.Check(); err != nil {
			return nil, err
		}
		if len(cfg.Listen)+len(cfg.Announce) > 0 {
			return nil, errors.New("node: a hidden node listens for its onion services only")
		}
	}
	for _, a := range cfg.Announce {
		if err := p2p.CheckAnnounce(a); err != nil {
			return nil, &Error{
				Code: "usage", Exit: ExitUsage, Err: err, Message: fmt.Sprintf("%q can't be announced: it must name a host and a transport", a),
				Hint: "give one like /ip4/192.0.2.1/tcp/{port}, /ip4/192.0.2.1/udp/{port}/quic-v1 or /dns4/p{port}.relay.example.org/tcp/443/tls/ws",
			}
		}
	}
	n.room = room{after: cmp.Or(cfg.restAfter, restAfter), most: cmp.Or(cfg.maxAwake, maxAwake), taken: map[protocol.ID]int{}}
	watch, stop := context.WithCancel(context.Background())
	n.stop = stop
	var err error
	if n.relays, err = parseRelays(cfg.Relays); err != nil {
		return nil, err
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
	if !cfg.Ephemeral {
		n.wg.Go(func() { n.watchOver(watch) })
	}
	return n, nil
}

// openSpare opens the first lobby before there is a community, so that its port
// is taken and known.
func (n *Node) openSpare() error {
	seed := random32()
	cfg := p2p.Config{Seed: seed, Profile: n.cfg.Profile, Listen: n.cfg.Listen, Announce: n.cfg.Announce, Underlay: n.cfg.underlay, Log: n.log}
	if cfg.Profile == ProfileHidden {
		n.cfg.Hidden.onionOf(0).hide(&cfg, n.cfg.Hidden, lobbyPort)
		if len(cfg.Listen) == 0 { // nobody could knock
			return nil
		}
	}
	l, err := p2p.NewLobby(cfg,
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

// take begins with a citizenship: at rest, if that is how it was left, else on its
// store.
func (n *Node) take(d vault.Daily) (*Community, error) {
	if c, err := n.resumed(d); c != nil || err != nil {
		return c, err
	}
	defer n.makeRoom(protocol.ID(d.Metastate), 0)()
	st, err := n.openStore(d)
	if err != nil {
		return nil, err
	}
	return n.begin(d, st, nil)
}

// begin starts a community on its store. lobby is where the first lobby
// listened already, if it did.
func (n *Node) begin(d vault.Daily, st *store.Store, lobby []string) (*Community, error) {
	c := n.community(d, st, lobby)
	return n.list(c, c.start())
}

// community is one that has not begun.
func (n *Node) community(d vault.Daily, st *store.Store, lobby []string) *Community {
	n.mu.Lock()
	ordinal := len(n.open) + 1
	n.mu.Unlock()
	net := network{
		cfg: &n.cfg, onion: n.onionFor(d.Presence), lobby: lobby, ordinal: ordinal,
		find: n.lookup, relays: n.relays, shared: &n.shared, stores: n.storesOf(d), keys: n.keys,
	}
	if !n.cfg.Ephemeral {
		net.dir = n.storeDir(protocol.ID(d.Metastate))
	}
	return newCommunity(d, st, net, n.log.With("community", ordinal))
}

// list adds a community that has begun, or ends what could not.
func (n *Node) list(c *Community, err error) (*Community, error) {
	if err != nil {
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
		if c.lobby != nil && !slices.Contains(lobbies, c.lobby) { // a shared one is listed once
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
	n.stop()
	n.wg.Wait()
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
