package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"github.com/metastate-p2p/metastate/cmd/metastate/internal/garbage"
	"github.com/metastate-p2p/metastate/node"
	"github.com/metastate-p2p/metastate/node/httpapi"
)

// What a node's vault is when it starts.
const (
	vaultOpen      = "open"
	vaultCreated   = "created"
	vaultNone      = "none"
	vaultEphemeral = "ephemeral" // in memory, gone when the node stops
)

// ready is what run prints once the node answers.
type ready struct {
	Ready   bool     `json:"ready"`
	Listen  []string `json:"listen"`
	Socket  string   `json:"socket"`
	Console *string  `json:"console"`
	Vault   string   `json:"vault"`
	Words   []string `json:"words,omitempty"` // with vault created, without --words-out
}

type runFlags struct {
	listen    []string
	profile   string
	socks     string
	onions    []string
	relays    []string
	announce  []string
	history   string
	console   string
	noConsole bool
	ephemeral bool
	wordsOut  string
}

func (a *app) runCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "run", Short: "Run the node until it is interrupted",
		Long: "Run the node until it is interrupted. Where there is no vault yet it makes one,\n" +
			"if it is given a passphrase or can ask for one, and prints the vault's words once.",
		Args: arguments(0, 0),
	}
	var flags runFlags
	f := c.Flags()
	f.StringArrayVar(&flags.listen, "listen", nil, "multiaddress to listen on, such as /ip4/0.0.0.0/udp/4001/quic-v1; repeat for more")
	f.StringVar(&flags.profile, "profile", "member", "how the node takes part in the network: member (on somebody's own machine), relay (one that everybody can reach), hidden (through Tor alone)")
	f.StringVar(&flags.socks, "socks", "", "with --profile hidden: IP address and port of Tor's SOCKS proxy (default 127.0.0.1:9050)")
	f.StringArrayVar(&flags.onions, "onion", nil, "with --profile hidden: an onion service that leads here, ADDRESS.onion:PORT; repeat for one each metastate, in the order of metastate list")
	f.StringArrayVar(&flags.announce, "announce", nil, "address at which others reach this node, where its computer does not know it, such as /ip4/192.0.2.1/tcp/{port} or /dns4/p{port}.relay.example.org/tcp/443/tls/ws; repeat for more")
	f.StringArrayVar(&flags.relays, "relay", nil, "address of a relay to be reached through before others, as its node shows it; repeat for more")
	f.StringVar(&flags.history, "history", "later", "what a newcomer does about the time before it joined: later (if it is long, take a snapshot and fetch it in the background), first (recompute all of it before anything else), never (leave it with others)")
	f.StringVar(&flags.console, "console", "", "address of the console")
	f.BoolVar(&flags.noConsole, "no-console", false, "serve no console")
	f.BoolVar(&flags.ephemeral, "ephemeral", false, "keep everything in memory, and forget it when the node stops")
	f.StringVar(&flags.wordsOut, "words-out", "", "write the words of a new vault to this new file, for you alone, and print none")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if err := flags.check(c); err != nil {
			return err
		}
		return a.serve(c.Context(), flags)
	}
	return c
}

// histories are what --history can say.
var histories = map[string]node.History{
	"later": node.HistoryLater, "first": node.HistoryFirst, "never": node.HistoryNever,
}

func (f runFlags) check(c *cobra.Command) error {
	switch p, err := node.ParseProfile(f.profile); {
	case err != nil:
		return usage(c, "--profile is member, relay or hidden, not %q", f.profile)
	case p == node.ProfileHidden:
		if c.Flags().Changed("announce") || c.Flags().Changed("relay") {
			return usage(c, "a hidden node takes neither --announce nor --relay: nobody reaches it but by its onion services")
		}
		if c.Flags().Changed("listen") {
			return usage(c, "a hidden node takes no --listen: it listens for its onion services alone, on 127.0.0.1 at the ports of --onion")
		}
		if err := f.hidden().Check(); err != nil {
			return err
		}
	case c.Flags().Changed("socks") || c.Flags().Changed("onion"):
		return usage(c, "--socks and --onion go with --profile hidden")
	}
	if _, ok := histories[f.history]; !ok {
		return usage(c, "--history is later, first or never, not %q", f.history)
	}
	if c.Flags().Changed("console") {
		return usage(c, "this version has no console yet: leave --console out")
	}
	for _, addr := range f.listen {
		if _, ok := parseListen(addr); !ok {
			return usage(c, "--listen needs an IP address and a port, such as /ip4/0.0.0.0/tcp/4001 or /ip6/::/udp/4001/quic-v1, not %q", addr)
		}
	}
	return nil
}

func (f runFlags) hidden() node.Hidden { return node.Hidden{SOCKS: f.socks, Onions: f.onions} }

// listens are the addresses of this machine that the node listens on, where it
// is told which.
func (f runFlags) listens() []string {
	if f.profile == node.ProfileHidden.String() {
		return f.hidden().Locals()
	}
	return f.listen
}

// serve runs the node until ctx ends.
func (a *app) serve(ctx context.Context, flags runFlags) (err error) {
	profile, err := node.ParseProfile(flags.profile)
	if err != nil {
		return err
	}
	data, err := a.dataDir()
	if err != nil {
		return err
	}
	if err := ensureDataDir(data); err != nil {
		return err
	}
	state, pass, err := a.unlock(data, flags.ephemeral)
	if err != nil {
		return err
	}
	defer clear(pass)
	boundMemory()
	collector := garbage.Tighten()
	// The socket comes before the vault and the node: of two that start at once,
	// one is refused before it changed anything.
	l, err := httpapi.Listen(data)
	if err != nil {
		return err
	}
	defer l.Close()

	out := ready{Ready: true, Socket: l.Addr().String(), Vault: state}
	if state == vaultCreated {
		if out.Words, err = a.createVault(data, pass, flags.wordsOut); err != nil {
			return err
		}
	}
	log := a.logger()
	n, err := node.Open(ctx, node.Config{
		Dir: data, Ephemeral: flags.ephemeral, Profile: profile, Hidden: flags.hidden(), Listen: flags.listen, Announce: flags.announce, Relays: flags.relays, History: histories[flags.history], Bulk: collector.Bulk, Log: log,
		Passphrase: a.passphraseSource(state, pass),
	})
	clear(pass)
	if err != nil {
		if state == vaultCreated { // its words were not seen by anyone
			err = errors.Join(err, os.Remove(node.VaultPath(data)))
		}
		if why := whyNotListening(flags.listens()); why != nil {
			return why
		}
		return err
	}
	defer func() { err = errors.Join(err, n.Close()) }()
	out.Listen = append([]string{}, n.Listen()...)
	if err := emit(a, out, func(p *page, r ready) { showReady(p, r, flags) }); err != nil {
		return err
	}
	if profile == node.ProfileHidden {
		a.warnWithoutTor(ctx, flags.hidden())
	}
	if state == vaultNone {
		fmt.Fprintln(a.stderr, a.asTyped("there is no vault yet, so this node can neither found nor join; in another terminal: metastate init --passphrase-file FILE"))
	}
	return httpapi.Serve(ctx, l, httpapi.Handler(n, log))
}

// unlock finds out what the node's vault is to be, and gets the passphrase where
// somebody has to be asked for it, or where one is needed to make the vault.
func (a *app) unlock(data string, ephemeral bool) (state string, pass []byte, err error) {
	if ephemeral {
		return vaultEphemeral, nil, nil
	}
	_, err = os.Lstat(node.VaultPath(data))
	missing := errors.Is(err, fs.ErrNotExist)
	if err != nil && !missing {
		return "", nil, fmt.Errorf("vault: %w", err)
	}
	fromFile, asked := a.opts.passphraseFile != "", a.onTerminal()
	switch {
	case missing && (fromFile || asked):
		pass, err = a.newPassphrase()
		return vaultCreated, pass, err
	case missing:
		return vaultNone, nil, nil
	case fromFile:
		return vaultOpen, nil, nil
	case asked:
		pass, err = a.prompt("Passphrase of the vault: ")
		return vaultOpen, pass, err
	}
	return "", nil, locked()
}

// passphraseSource is how the node gets at the passphrase: from the file each
// time it needs it; from a terminal only once, to start, as later on it is the
// commands that ask and send it.
func (a *app) passphraseSource(state string, asked []byte) func() ([]byte, error) {
	if state == vaultEphemeral {
		return nil
	}
	if file := a.opts.passphraseFile; file != "" {
		return func() ([]byte, error) { return passphraseIn(file) }
	}
	if state == vaultNone {
		return nil
	}
	var mu sync.Mutex
	first := append([]byte{}, asked...) // guarded by mu; the node wipes it
	return func() ([]byte, error) {
		mu.Lock()
		defer mu.Unlock()
		if first == nil {
			return nil, &node.Error{
				Code: "vault-locked", Exit: node.ExitLocked,
				Message: "the vault is locked: this needs its passphrase",
				Hint:    "give the passphrase with --passphrase-file FILE, or on a terminal",
			}
		}
		pass := first
		first = nil
		return pass, nil
	}
}

// logger writes to stderr: words for people, JSON for programs.
func (a *app) logger() *slog.Logger {
	opts := &slog.HandlerOptions{Level: slog.LevelInfo}
	if a.opts.quiet {
		opts.Level = slog.LevelWarn
	}
	if a.opts.json {
		return slog.New(slog.NewJSONHandler(a.stderr, opts))
	}
	return slog.New(slog.NewTextHandler(a.stderr, opts))
}

func showReady(p *page, r ready, flags runFlags) {
	if r.Words != nil {
		showWords(p, r.Words)
		p.line("")
	}
	p.line("The node is running. Stop it with Ctrl-C.")
	if p.plain {
		p.fields("listens on", orDash(strings.Join(r.Listen, " ")))
	} else {
		p.line("%s", flags.reach())
		for _, addr := range r.Listen {
			p.line("  %s", addr)
		}
		p.line("%s", flags.linkable())
	}
	p.fields("socket", r.Socket, "vault", r.Vault)
	if r.Vault == vaultNone {
		p.next("in another terminal: metastate init --passphrase-file FILE")
		return
	}
	p.next("in another terminal: metastate found NAME, or metastate join LINK")
}
