package vault_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/identity/vault"
)

func Example() {
	dir, err := os.MkdirTemp("", "vault")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "vault")
	passphrase := []byte("five words picked by dice")

	// In earnest: identity.GenerateEntropy and vault.DefaultParams.
	cheap := vault.Params{MemoryKiB: vault.MinMemoryKiB, Passes: 1, Lanes: 1}
	err = vault.Create(path, passphrase, &vault.Contents{Entropy: identity.Entropy{1}}, cheap)
	fmt.Println("created:", err == nil)

	err = vault.Update(path, passphrase, func(c *vault.Contents) error {
		c.Citizenships = append(c.Citizenships, vault.Citizenship{Daily: vault.Daily{Alias: "union"}})
		return nil
	})
	fmt.Println("updated:", err == nil)

	contents, err := vault.Open(path, passphrase)
	if err != nil {
		panic(err)
	}
	daily := contents.Daily() // what the running node gets
	contents.Wipe()
	fmt.Println(daily[0].Alias, daily[0].Device)

	_, err = vault.Open(path, []byte("another passphrase"))
	fmt.Println("wrong:", errors.Is(err, vault.ErrWrongPassphrase))
	// Output:
	// created: true
	// updated: true
	// union vault.Secret(secret)
	// wrong: true
}
