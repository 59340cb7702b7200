package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"strings"

	"github.com/metastate-p2p/metastate/identity/vault"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/store"
)

// lowDisk is how much room a node should have: its stores keep some of it for
// ending soundly, and grow.
const lowDisk = 1 << 30

// Examine looks at a node's folder, whether a node runs there or not. It opens
// nothing that is locked.
func Examine(dir string) []Check {
	info, err := os.Stat(dir)
	if err != nil {
		return []Check{{Name: "folder", Detail: fmt.Sprintf("there is no folder %s yet", dir), Remedy: "metastate run; or name another folder with --data"}}
	}
	out := []Check{{Name: "folder", Pass: true, Detail: dir + " is yours alone"}}
	if perm := info.Mode().Perm(); runtime.GOOS != "windows" && perm&0o077 != 0 {
		out[0] = Check{Name: "folder", Detail: fmt.Sprintf("others can enter %s (mode %04o)", dir, perm), Remedy: "chmod 700 " + quoted(dir)}
	}
	return append(out, examineVault(VaultPath(dir)), examineDisk(dir))
}

// ExamineStores reads all that is stored in the folder of a node that does not
// run. The error is of the vault: its passphrase, or what it is.
func ExamineStores(ctx context.Context, dir string, passphrase []byte) (out []Check, err error) {
	contents, err := vault.Open(VaultPath(dir), passphrase)
	if err != nil {
		return nil, err
	}
	defer contents.Wipe()
	n := &Node{cfg: Config{Dir: dir}}
	for _, d := range contents.Daily() {
		check := n.examineClosed(ctx, d)
		check.ID = protocol.ID(d.Metastate).String()
		if check.Metastate = d.Alias; d.Alias == "" {
			check.Metastate = check.ID
		}
		out = append(out, check)
	}
	return out, nil
}

// examineClosed reads the store of a citizenship that nobody has open.
func (n *Node) examineClosed(ctx context.Context, d vault.Daily) Check {
	const remedy = "start the node: it rebuilds what is sound, and peers bring the rest"
	key := [32]byte(d.StoreKey)
	st, err := store.Open(store.Config{Key: key[:], Dir: n.storeDir(protocol.ID(d.Metastate))})
	if damage, ok := errors.AsType[*store.DamagedError](err); ok {
		return Check{Name: "store", Detail: "what is stored is damaged: " + damage.What, Remedy: remedy}
	}
	if err != nil {
		return Check{Name: "store", Detail: "what is stored can't be opened: " + storeError(err).Error(), Remedy: remedy}
	}
	check := examineStore(ctx, st)
	if err := st.Close(); err != nil && check.Pass {
		return Check{Name: "store", Detail: "what is stored can't be closed: " + storeError(err).Error(), Remedy: remedy}
	}
	return check
}

func examineVault(path string) Check {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return Check{Name: "vault", Detail: "there is no vault yet, so this node can neither found nor join", Remedy: "metastate init --passphrase-file FILE"}
	case err != nil:
		return Check{Name: "vault", Detail: "the vault can't be looked at: " + err.Error(), Remedy: "run this as the user whose node it is"}
	case !info.Mode().IsRegular():
		return Check{Name: "vault", Detail: path + " is not a file", Remedy: "put the vault back from a copy, or make it from its words"}
	case runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0:
		return Check{Name: "vault", Detail: fmt.Sprintf("others can read the vault (mode %04o)", info.Mode().Perm()), Remedy: "chmod 600 " + quoted(path)}
	}
	return Check{Name: "vault", Pass: true, Detail: "the vault is there, and yours alone to read"}
}

func examineDisk(dir string) Check {
	free, known := store.Free(dir)
	switch {
	case !known:
		return Check{Name: "disk", Pass: true, Detail: "how much room the disk has is not known on this system"}
	case free < lowDisk:
		return Check{Name: "disk", Detail: fmt.Sprintf("the disk has only %d MiB left", free>>20), Remedy: roomRemedy}
	}
	return Check{Name: "disk", Pass: true, Detail: fmt.Sprintf("the disk has %d GiB left", free>>30)}
}

// quoted is a path as a shell reads it.
func quoted(path string) string { return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'" }
