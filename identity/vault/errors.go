package vault

import "errors"

// The ways to fail that callers tell apart. Each text says what happened, why,
// and what to do.
var (
	ErrWrongPassphrase = errors.New("wrong passphrase: the vault is intact, and this passphrase does not open it; try again, minding capitals and keyboard layout")
	ErrDamaged         = errors.New("the vault is damaged: its bytes are not what was written; put a copy of the vault file in its place")
	ErrTooNew          = errors.New("the vault was written by a newer version of this program; install that version or later")
	ErrLocked          = errors.New("the vault is in use: another process is changing it; wait for it to finish and try again")
	ErrPermissions     = errors.New("others can read the vault or replace it; take their rights away as said, then try again")
	ErrExists          = errors.New("a vault is already there and is never overwritten; choose another place, or move it away first")
	ErrNotFound        = errors.New("there is no vault there; create one, or check the path")
	ErrPassphrase      = errors.New("unusable passphrase: it must have 8 to 1024 bytes; choose another, such as five random words")
)
