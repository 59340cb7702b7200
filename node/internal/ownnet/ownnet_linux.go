// Package ownnet runs a test in a network namespace of its own, where the kernel
// counts nothing but the test's own traffic and nobody on a real network hears
// it. Only tests use it.
package ownnet

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// inside marks a process that has a network namespace to itself.
const inside = "METASTATE_TEST_OWN_NET"

// Run runs the test of that name, which begins with [Inside], in a process that
// has a network namespace to itself, and fails t if it does not pass. It skips t
// where no namespace can be made.
func Run(t *testing.T, name string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+name+"$", "-test.v")
	cmd.Env = append(os.Environ(), inside+"="+name)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	if os.Getuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
	}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Skipf("a network namespace can't be made here: %v", err)
	}
	if err := cmd.Wait(); err != nil || !strings.Contains(out.String(), "--- PASS: "+name) {
		t.Errorf("%v\n%s", err, &out)
	}
}

// Inside skips a test that was not begun by [Run].
func Inside(t *testing.T) {
	t.Helper()
	if os.Getenv(inside) != t.Name() {
		t.Skip("another test runs it in a network namespace")
	}
}
