package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/identity/vault"
	"github.com/metastate-p2p/metastate/node"
	"github.com/metastate-p2p/metastate/node/httpapi"
	"github.com/metastate-p2p/metastate/protocol"
)

// A person has a folder, and a node while the computer is on. The node is a
// process of its own, and is asked over its socket as the command line does.
type person struct {
	name string
	dir  string
	api  *httpapi.Client // of the node

	process *exec.Cmd      // nil while off
	tether  io.WriteCloser // the standard input of it: when that ends, so does it
}

// passphrase of every vault here. A real one is the person's own.
const passphrase = "correct horse battery staple"

// newPerson makes a person's vault, with new keys, and starts the node.
func newPerson(ctx context.Context, parent, name string) (*person, error) {
	p := &person{name: name, dir: filepath.Join(parent, name)}
	keys := &vault.Contents{Entropy: identity.GenerateEntropy()}
	defer keys.Wipe()
	// The least cost: these vaults live for seconds. The default takes two
	// seconds and 256 MiB, and so does each guess at the passphrase.
	cheap := vault.Params{MemoryKiB: vault.MinMemoryKiB, Passes: 1, Lanes: 1}
	if err := vault.Create(node.VaultPath(p.dir), []byte(passphrase), keys, cheap); err != nil {
		return nil, err
	}
	var err error
	if p.api, err = httpapi.NewClient(p.dir); err != nil {
		return nil, err
	}
	return p, p.switchOn(ctx)
}

// nodeFolder is the environment variable that makes this program the node of a
// folder.
const nodeFolder = "METASTATE_QUICKSTART_NODE"

// switchOn starts this program again as the node of the person's folder, and
// waits until it is ready.
func (p *person) switchOn(ctx context.Context) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	c := exec.CommandContext(ctx, self)
	c.Env = append(os.Environ(), nodeFolder+"="+p.dir)
	c.Stderr = os.Stderr
	tether, err := c.StdinPipe()
	if err != nil {
		return err
	}
	out, err := c.StdoutPipe()
	if err != nil {
		return err
	}
	if err := c.Start(); err != nil {
		return err
	}
	p.process, p.tether = c, tether
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil { // it ended, and said why
		return errors.Join(fmt.Errorf("the node of %s did not start", p.name), p.switchOff())
	}
	return nil
}

// beNode is what switchOn starts: a node that serves its folder's socket until
// standard input ends.
func beNode(ctx context.Context, dir string, stdin io.Reader, stdout io.Writer) (err error) {
	l, err := httpapi.Listen(dir)
	if err != nil {
		return err
	}
	defer l.Close()
	n, err := node.Open(ctx, node.Config{
		Dir: dir, Listen: []string{"/ip4/127.0.0.1/tcp/0"},
		Passphrase: func() ([]byte, error) { return []byte(passphrase), nil },
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, n.Close()) }()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		_, _ = io.Copy(io.Discard, stdin) // until who started it wants no more, or is gone
		stop()
	}()
	fmt.Fprintln(stdout, "ready")
	return httpapi.Serve(ctx, l, httpapi.Handler(n, slog.New(slog.DiscardHandler)))
}

// switchOff stops the node, if it is on, and waits until it is gone.
func (p *person) switchOff() error {
	if p.process == nil {
		return nil
	}
	p.tether.Close()
	err := p.process.Wait()
	p.process = nil
	p.api.Close()
	return err
}

// kill ends the node by SIGKILL, which no program can catch: as when it crashes
// or the system takes its memory, nothing is finished, flushed or said goodbye.
func (p *person) kill() error {
	if err := p.process.Process.Kill(); err != nil {
		return err
	}
	err := p.process.Wait() // reports the signal: that is what was wanted
	if _, killed := errors.AsType[*exec.ExitError](err); !killed {
		return fmt.Errorf("the node of %s ended before it was killed: %v", p.name, err)
	}
	p.process = nil
	p.tether.Close()
	p.api.Close()
	return nil
}

// in is the person's part in a metastate.
func (p *person) in(metastate protocol.ID) httpapi.Inside { return p.api.In(metastate.String()) }

// status is how a metastate stands on the person's node.
func (p *person) status(ctx context.Context, metastate protocol.ID) (node.Status, error) {
	list, err := p.api.Status(ctx, metastate.String())
	if err != nil {
		return node.Status{}, fmt.Errorf("asking %s's node: %w", p.name, err)
	}
	return list.Metastates[0], nil
}

// askAgain is how often a node is asked for what is to come.
const askAgain = 25 * time.Millisecond

// until asks the person's node again and again, until what it answers is ok.
func until[T any](ctx context.Context, p *person, what string, ask func() (T, error), ok func(T) bool) (T, error) {
	tick := time.NewTicker(askAgain)
	defer tick.Stop()
	for {
		got, err := ask()
		if err == nil && ok(got) {
			return got, nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return got, fmt.Errorf("waited in vain at %s's: %s: %w", p.name, what, errors.Join(context.Cause(ctx), err))
		}
	}
}

// untilStatus is until about how a metastate stands.
func (p *person) untilStatus(ctx context.Context, metastate protocol.ID, what string, ok func(node.Status) bool) (node.Status, error) {
	return until(ctx, p, what, func() (node.Status, error) { return p.status(ctx, metastate) }, ok)
}

// short is the beginning of an id, long enough for commands to know it by.
func short(id protocol.ID) string { return id.String()[:14] + "…" }
