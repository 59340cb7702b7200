package httpapi

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/metastate-p2p/metastate/node"
)

// dataDir returns a private folder with a path that is short enough for a
// socket, which t.TempDir's is not on every system.
func dataDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "ms")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func codeOf(err error) string {
	if e, ok := errors.AsType[*node.Error](err); ok {
		return e.Code
	}
	return ""
}

func TestSocketIsPrivate(t *testing.T) {
	dir := dataDir(t)
	l, err := Listen(dir)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "api.sock")
	if l.Addr().String() != path {
		t.Errorf("listens on %s", l.Addr())
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket stays: %v", err)
	}
}

func TestOneNodeListens(t *testing.T) {
	dir := dataDir(t)
	l, err := Listen(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(dir); codeOf(err) != CodeAlreadyRuns {
		t.Errorf("a second one: %v", err)
	}
	l.Close()
	l, err = Listen(dir)
	if err != nil {
		t.Fatalf("after the first is gone: %v", err)
	}
	l.Close()
	// One that does not hold the lock counts, too, if it answers.
	other, err := net.Listen("unix", filepath.Join(dir, "api.sock"))
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if _, err := Listen(dir); codeOf(err) != CodeAlreadyRuns {
		t.Errorf("beside a foreign one: %v", err)
	}
}

func TestStaleSocketIsTakenOver(t *testing.T) {
	dir := dataDir(t)
	stale, err := net.Listen("unix", filepath.Join(dir, "api.sock"))
	if err != nil {
		t.Fatal(err)
	}
	stale.(*net.UnixListener).SetUnlinkOnClose(false) // as a crash leaves it
	stale.Close()
	l, err := Listen(dir)
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
}

func TestWhatIsNoSocketStays(t *testing.T) {
	dir := dataDir(t)
	path := filepath.Join(dir, "api.sock")
	if err := os.WriteFile(path, []byte("a letter"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(dir); codeOf(err) != CodeSocket {
		t.Errorf("%v", err)
	}
	if b, err := os.ReadFile(path); err != nil || string(b) != "a letter" {
		t.Errorf("%q, %v", b, err)
	}
	if _, err := Listen(filepath.Join(dir, "nowhere")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a folder that is not there: %v", err)
	}
}

// A passphrase must not go through a folder in which another user could have
// put the socket: neither side uses one.
func TestLooseFolderIsRefused(t *testing.T) {
	dir := dataDir(t)
	l, err := net.Listen("unix", filepath.Join(dir, "api.sock"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, mode := range []os.FileMode{0o710, 0o701, 0o770, 0o755, 0o777} {
		if err := os.Chmod(dir, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := Listen(dir); codeOf(err) != CodeSocket || node.AsError(err).Exit != node.ExitLocked {
			t.Errorf("mode %o: the node: %v", mode, err)
		}
		c, err := NewClient(dir)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second) // nobody accepts here
		_, err = c.Found(ctx, node.FoundRequest{Passphrase: []byte("secret")})
		cancel()
		if codeOf(err) != CodeSocket {
			t.Errorf("mode %o: the client: %v", mode, err)
		}
	}
}

func TestLongPathMoves(t *testing.T) {
	run := dataDir(t)
	long := filepath.Join(dataDir(t), strings.Repeat("x", maxSocketPath))
	if err := os.Mkdir(long, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("XDG_RUNTIME_DIR", run)
	path, err := SocketPath(long)
	if err != nil || filepath.Dir(path) != filepath.Join(run, "metastate") || len(path) > maxSocketPath {
		t.Fatalf("%s, %v", path, err)
	}
	// By another name of the folder it is the same; of another folder it is not.
	link := filepath.Join(run, "link")
	if err := os.Symlink(long, link); err != nil {
		t.Fatal(err)
	}
	if same, err := SocketPath(link + "/."); err != nil || same != path {
		t.Errorf("%s, %v", same, err)
	}
	if other, err := SocketPath(long + "y"); err != nil || other == path {
		t.Errorf("%s, %v", other, err)
	}
	l, err := Listen(long)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if info, err := os.Stat(filepath.Dir(path)); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v", info, err)
	}
	// A runtime folder that is somebody's link elsewhere is not used.
	other := dataDir(t)
	t.Setenv("XDG_RUNTIME_DIR", other)
	if err := os.Symlink(filepath.Join(run, "metastate"), filepath.Join(other, "metastate")); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(long); codeOf(err) != CodeSocket {
		t.Errorf("through a link: %v", err)
	}
	// Without one it is below /tmp, and the user's own.
	t.Setenv("XDG_RUNTIME_DIR", "")
	if path, err := SocketPath(long); err != nil || !strings.HasPrefix(path, "/tmp/metastate-") {
		t.Errorf("%s, %v", path, err)
	}
}
