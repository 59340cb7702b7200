package httpapi

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/metastate-p2p/metastate/node"
)

// socketName is the socket's name in the data folder.
const socketName = "api.sock"

// maxSocketPath is the longest path that fits a socket address here, 107 bytes
// on Linux: one byte is for the NUL.
const maxSocketPath = len(syscall.RawSockaddrUnix{}.Path) - 1

// SocketPath returns where the node of a data folder listens, whether or not it
// runs: DATA/api.sock, or, where that is too long for a socket address, a name
// that follows from DATA in the runtime folder ($XDG_RUNTIME_DIR/metastate, or
// metastate-UID in the temporary folder).
func SocketPath(data string) (string, error) {
	data, err := filepath.Abs(data)
	if err != nil {
		return "", fmt.Errorf("httpapi: data folder: %w", err)
	}
	// Two names of one folder are one node.
	if real, err := filepath.EvalSymlinks(data); err == nil {
		data = real
	}
	if path := filepath.Join(data, socketName); len(path) <= maxSocketPath {
		return path, nil
	}
	sum := sha256.Sum256([]byte(data))
	name := hex.EncodeToString(sum[:16]) + ".sock"
	if run := os.Getenv("XDG_RUNTIME_DIR"); filepath.IsAbs(run) {
		if path := filepath.Join(run, "metastate", name); len(path) <= maxSocketPath {
			return path, nil
		}
	}
	return filepath.Join("/tmp", "metastate-"+strconv.Itoa(os.Getuid()), name), nil
}

// Listen opens the socket of a data folder, which must exist. What a crash left
// is taken over; a node that still listens is refused, in words. Closing the
// listener removes the socket.
func Listen(data string) (net.Listener, error) {
	path, err := SocketPath(data)
	if err != nil {
		return nil, err
	}
	if err := makeSocketDir(path, data); err != nil {
		return nil, err
	}
	if err := checkSocketDir(path); err != nil {
		return nil, err
	}
	lock, err := lockFile(path + ".lock")
	if errors.Is(err, errLocked) || (err == nil && alive(path)) {
		if lock != nil {
			lock.Close()
		}
		return nil, alreadyRuns(data, path)
	}
	if err != nil {
		return nil, fmt.Errorf("httpapi: locking the socket: %w", err)
	}
	l, err := bind(path)
	if err != nil {
		lock.Close()
		return nil, err
	}
	return &listener{Listener: l, lock: lock}, nil
}

func alreadyRuns(data, path string) error {
	return &node.Error{
		Code: CodeAlreadyRuns, Exit: node.ExitFailed,
		Message: fmt.Sprintf("a node of %s is already running: it listens on %s", data, path),
		Hint:    "use that node, stop it first, or choose another folder with --data",
	}
}

// bind makes the socket. The caller holds its lock, so one that is there is of
// a process that is gone.
func bind(path string) (net.Listener, error) {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, fmt.Errorf("httpapi: socket: %w", err)
	case info.Mode().Type() != fs.ModeSocket:
		return nil, &node.Error{
			Code: CodeSocket, Exit: node.ExitFailed,
			Message: path + " is there and is not a socket",
			Hint:    "move it away, then start again",
		}
	default:
		if err := os.Remove(path); err != nil {
			return nil, fmt.Errorf("httpapi: taking over the socket: %w", err)
		}
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("httpapi: listening: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		l.Close()
		return nil, fmt.Errorf("httpapi: socket: %w", err)
	}
	return l, nil
}

// listener holds the socket's lock for as long as it listens.
type listener struct {
	net.Listener
	lock *os.File
}

func (l *listener) Close() error {
	err := l.Listener.Close() // removes the socket; the lock goes after it
	return errors.Join(err, ignoreClosed(l.lock.Close()))
}

func ignoreClosed(err error) error {
	if errors.Is(err, os.ErrClosed) {
		return nil
	}
	return err
}

// alive reports whether anyone accepts on the socket.
func alive(path string) bool {
	c, err := net.DialTimeout("unix", path, time.Second)
	if err != nil {
		return false
	}
	c.Close()
	return true
}

// makeSocketDir makes the folder of a socket that is not in the data folder.
func makeSocketDir(path, data string) error {
	dir := filepath.Dir(path)
	if _, err := os.Stat(data); err != nil {
		return fmt.Errorf("httpapi: data folder: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("httpapi: folder of the socket: %w", err)
	}
	return nil
}

// checkSocketDir refuses a folder that is a symbolic link or that others have
// any right to: they could put a socket of their own in the place of ours, and
// passphrases go through it.
func checkSocketDir(path string) error {
	dir := filepath.Dir(path)
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	why := ""
	switch {
	case !info.IsDir():
		why = "is not a folder"
	case !ownedByUs(info):
		why = "belongs to another user"
	case !private(info):
		why = fmt.Sprintf("can be entered by others (mode %04o)", info.Mode().Perm())
	default:
		return nil
	}
	return &node.Error{
		Code: CodeSocket, Exit: node.ExitLocked,
		Message: fmt.Sprintf("the folder of the socket, %s, %s", dir, why),
		Hint:    fmt.Sprintf("make it yours alone: chmod 700 %q", dir),
	}
}
