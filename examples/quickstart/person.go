package main

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/identity/vault"
	"github.com/metastate-p2p/metastate/node"
	"github.com/metastate-p2p/metastate/protocol"
)

// A person has a folder, and a node while the computer is on.
type person struct {
	name string
	dir  string
	node *node.Node // nil while off
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
	return p, p.switchOn(ctx)
}

// switchOn starts the node on the person's folder.
func (p *person) switchOn(ctx context.Context) (err error) {
	p.node, err = node.Open(ctx, node.Config{
		Dir: p.dir, Listen: []string{"/ip4/127.0.0.1/tcp/0"},
		Passphrase: func() ([]byte, error) { return []byte(passphrase), nil },
	})
	return err
}

// switchOff stops the node, if it is on.
func (p *person) switchOff() error {
	if p.node == nil {
		return nil
	}
	n := p.node
	p.node = nil
	return n.Close()
}

// in is the person's part in a metastate that the person belongs to.
func (p *person) in(metastate protocol.ID) *node.Community {
	c, err := p.node.Community(metastate.String())
	if err != nil {
		panic(fmt.Sprintf("quickstart: %s: %v", p.name, err)) // asked only of members
	}
	return c
}

// until waits for a condition on a community, looked at after every change.
func until(ctx context.Context, c *node.Community, what string, ok func() bool) error {
	for {
		changed := c.Changed()
		if ok() {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("waited in vain: %s: %w", what, context.Cause(ctx))
		}
	}
}

// short is the beginning of an id, long enough for commands to know it by.
func short(id protocol.ID) string { return id.String()[:14] + "…" }
