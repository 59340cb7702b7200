package node

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/identity/vault"
)

// A vaultFile is where persona keys are: a file, or memory for an ephemeral
// node.
type vaultFile struct {
	path       string
	passphrase func() ([]byte, error)
	memory     *vault.Contents // of an ephemeral node
}

func openVault(cfg Config) vaultFile {
	if cfg.Ephemeral {
		return vaultFile{memory: &vault.Contents{Entropy: identity.GenerateEntropy()}}
	}
	return vaultFile{path: VaultPath(cfg.Dir), passphrase: cfg.Passphrase}
}

// VaultPath is where the vault of a node's folder is.
func VaultPath(dir string) string { return filepath.Join(dir, "vault") }

func (v *vaultFile) exists() bool {
	if v.memory != nil {
		return true
	}
	_, err := os.Lstat(v.path)
	return !errors.Is(err, fs.ErrNotExist)
}

// daily reads the day-to-day keys.
func (v *vaultFile) daily() ([]vault.Daily, error) {
	if v.memory != nil || !v.exists() {
		return nil, nil
	}
	pass, err := v.ask(nil)
	if err != nil {
		return nil, err
	}
	defer clear(pass)
	c, err := vault.Open(v.path, pass)
	if err != nil {
		return nil, err
	}
	defer c.Wipe()
	return c.Daily(), nil
}

// read opens the vault for the time of f, which changes nothing.
func (v *vaultFile) read(given []byte, f func(*vault.Contents) error) error {
	if v.memory != nil {
		return f(v.memory)
	}
	pass, err := v.ask(given)
	if err != nil {
		return err
	}
	defer clear(pass)
	c, err := vault.Open(v.path, pass)
	if err != nil {
		return err
	}
	defer c.Wipe()
	return f(c)
}

// update opens the vault for the time of f.
func (v *vaultFile) update(given []byte, f func(*vault.Contents) error) error {
	if v.memory != nil {
		return f(v.memory)
	}
	if !v.exists() {
		return &Error{Code: "no-vault", Exit: ExitLocked, Message: "there is no vault yet, and it holds the keys this needs", Hint: "metastate init --passphrase-file FILE"}
	}
	pass, err := v.ask(given)
	if err != nil {
		return err
	}
	defer clear(pass)
	return vault.Update(v.path, pass, f)
}

func (v *vaultFile) ask(given []byte) ([]byte, error) {
	if len(given) > 0 {
		return given, nil
	}
	if v.passphrase == nil {
		return nil, &Error{
			Code: "vault-locked", Exit: ExitLocked, Err: vault.ErrLocked,
			Message: "the vault is locked and this needs its persona keys", Hint: "give --passphrase-file FILE",
		}
	}
	return v.passphrase()
}

func (v *vaultFile) wipe() {
	if v.memory != nil {
		v.memory.Wipe()
	}
}
