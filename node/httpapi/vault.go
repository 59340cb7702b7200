package httpapi

import (
	"errors"

	"github.com/metastate-p2p/metastate/identity/vault"
	"github.com/metastate-p2p/metastate/node"
)

// vaultErrors are the ways in which a vault fails, each with a code of its own.
// A vault that stays shut exits 9, a damaged one 6.
var vaultErrors = [...]struct {
	err  error
	code string
	exit int
	hint string
}{
	{vault.ErrWrongPassphrase, "vault-wrong-passphrase", node.ExitLocked, "try again, or check the file given with --passphrase-file"},
	{vault.ErrDamaged, "vault-damaged", node.ExitVerify, "make a copy of the data folder, then put a backup of the vault in its place"},
	{vault.ErrTooNew, "vault-too-new", node.ExitLocked, "install the newest version of metastate"},
	{vault.ErrLocked, "vault-busy", node.ExitLocked, "wait for the other command to end, then try again"},
	{vault.ErrPermissions, "vault-permissions", node.ExitLocked, "take others' rights away with chmod, as said"},
	{vault.ErrExists, "vault-exists", node.ExitFailed, "metastate run uses the vault that is there; choose another folder with --data"},
	{vault.ErrNotFound, "vault-not-found", node.ExitNotFound, "metastate init --passphrase-file FILE"},
	{vault.ErrPassphrase, "passphrase-unusable", node.ExitUsage, "choose a passphrase of at least 8 bytes, such as five random words"},
}

// VaultError gives an error of package vault the form in which people are told.
func VaultError(err error) (*node.Error, bool) {
	for _, v := range vaultErrors {
		if errors.Is(err, v.err) {
			return &node.Error{Code: v.code, Exit: v.exit, Message: err.Error(), Hint: v.hint, Err: err}, true
		}
	}
	return nil, false
}
