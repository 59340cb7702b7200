package node

import (
	"context"
	"testing"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/identity/vault"
)

const testPassphrase = "correct horse battery staple"

// createVault makes a folder with a cheap vault and new keys.
func createVault(dir string) error {
	keys := &vault.Contents{Entropy: identity.GenerateEntropy()}
	defer keys.Wipe()
	return vault.Create(VaultPath(dir), []byte(testPassphrase), keys, vault.Params{MemoryKiB: vault.MinMemoryKiB, Passes: 1, Lanes: 1})
}

func folderConfig(dir string) Config {
	return Config{
		Dir: dir, Listen: []string{"/ip4/127.0.0.1/tcp/0"},
		Passphrase: func() ([]byte, error) { return []byte(testPassphrase), nil },
	}
}

func openFolder(t *testing.T, tap *wiretap) *Node {
	t.Helper()
	cfg := folderConfig(newFolder(t))
	cfg.underlay = tap.underlay
	return mustOpen(t, cfg)
}

func mustOpen(t testing.TB, cfg Config) *Node {
	t.Helper()
	n, err := Open(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	return n
}

// await waits for a condition on a community, looked at after every change.
func await(t testing.TB, c *Community, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), inVain)
	defer cancel()
	for changed := c.Changed(); !ok(); changed = c.Changed() {
		select {
		case <-changed:
		case <-ctx.Done():
			t.Fatalf("waited in vain: %s; status %+v", what, c.Status())
		}
	}
}

func isMember(c *Community) func() bool {
	return func() bool { return c.Status().Standing == "member" }
}

// enterBy joins a node by an invite made at from.
func enterBy(t testing.TB, n *Node, from *Community, name string) (*Community, string) {
	t.Helper()
	inv, err := from.CreateInvite(t.Context(), InviteRequest{})
	if err != nil {
		t.Fatal(err)
	}
	m, err := n.Join(t.Context(), JoinRequest{Link: inv.Link, As: name})
	if err != nil {
		t.Fatal(err)
	}
	c := n.lookup(m.Metastate)
	await(t, c, name+" is a member", isMember(c))
	return c, inv.Link
}

func foundAs(t testing.TB, n *Node, name, as string) *Community {
	t.Helper()
	m, err := n.Found(t.Context(), FoundRequest{Name: name, As: as})
	if err != nil {
		t.Fatal(err)
	}
	return n.lookup(m.Metastate)
}
