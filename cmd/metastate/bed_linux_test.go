package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// bedEnv marks a process that has network, mount and process namespaces to
// itself, so that whatever it makes is gone when it ends, however it ends.
const bedEnv = "METASTATE_TEST_BED"

// inOwnWorld runs a test in such a process, or skips it.
func inOwnWorld(t *testing.T, name string) {
	if testing.Short() {
		t.Skip("it takes minutes")
	}
	if os.Getuid() != 0 {
		t.Skip("network namespaces with NATs are made by root")
	}
	for _, tool := range []string{"ip", "nft"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%v: it is in the Debian packages iproute2 and nftables", err)
		}
	}
	runtime.LockOSThread() // Pdeathsig goes by the thread that began it
	defer runtime.UnlockOSThread()
	cmd := exec.Command(os.Args[0], "-test.run=^"+name+"$", "-test.v", "-test.timeout=5m")
	cmd.Env = append(os.Environ(), bedEnv+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS | syscall.CLONE_NEWPID, Pdeathsig: syscall.SIGKILL,
	}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Skipf("namespaces can't be made here: %v", err)
	}
	err := cmd.Wait()
	if strings.Contains(out.String(), "--- SKIP: "+name) {
		t.Skipf("%s", &out)
	}
	if err != nil || !strings.Contains(out.String(), "--- PASS: "+name) {
		t.Errorf("%v\n%s", err, &out)
		return
	}
	t.Logf("%s", &out)
}

// A bed is machines in network namespaces on a small internet, 20.0.0.0/24, whose
// router is the test's own namespace.
//
//	20.0.0.11 relay          20.0.0.21 router ─ 10.0.21.2 home
//	        └──────── 20.0.0.1 ────────┘
type bed struct {
	t     *testing.T
	dir   string
	begin time.Time
}

func newBed(t *testing.T) *bed {
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		t.Skipf("mounts can't be made private here: %v", err)
	}
	if err := syscall.Mount("tmpfs", "/run", "tmpfs", 0, ""); err != nil {
		t.Skipf("nothing can be mounted here: %v", err)
	}
	b := &bed{t, t.TempDir(), time.Now()}
	if out, err := exec.Command("nft", "add table ip cut { chain cf { type filter hook forward priority 0; }; }").CombinedOutput(); err != nil {
		t.Skipf("this kernel has no nftables: %v: %s", err, out)
	}
	b.sh("", "ip", "link", "set", "lo", "up")
	b.forward("")
	if err := os.WriteFile(filepath.Join(b.dir, "pass"), []byte("correct horse\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return b
}

// log says what the bed has come to, and when.
func (b *bed) log(format string, args ...any) {
	b.t.Logf("%5.1fs "+format, append([]any{time.Since(b.begin).Seconds()}, args...)...)
}

// sh runs a command in a namespace; "" is the bed's own.
func (b *bed) sh(ns string, args ...string) string {
	b.t.Helper()
	if ns != "" {
		args = append([]string{"ip", "netns", "exec", ns}, args...)
	}
	out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
	if err != nil {
		b.t.Fatalf("%s: %v: %s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

func (b *bed) forward(ns string) { b.sh(ns, "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward") }

// onNet makes a machine with the address 20.0.0.n.
func (b *bed) onNet(name string, n int) {
	wire := fmt.Sprint("w", n)
	b.sh("", "ip", "netns", "add", name)
	b.sh("", "ip", "link", "add", wire, "type", "veth", "peer", "name", "wan", "netns", name)
	b.sh("", "ip", "addr", "add", "20.0.0.1/32", "dev", wire)
	b.sh("", "ip", "link", "set", wire, "up")
	b.sh("", "ip", "route", "add", wan(n)+"/32", "dev", wire)
	b.sh(name, "ip", "link", "set", "lo", "up")
	b.sh(name, "ip", "addr", "add", wan(n)+"/32", "dev", "wan")
	b.sh(name, "ip", "link", "set", "wan", "up")
	b.sh(name, "ip", "route", "add", "20.0.0.1/32", "dev", "wan", "scope", "link")
	b.sh(name, "ip", "route", "add", "default", "via", "20.0.0.1", "dev", "wan")
}

func wan(n int) string { return fmt.Sprint("20.0.0.", n) }

// atHome makes a machine behind a router at 20.0.0.n, which lets in nothing that
// is no answer. One of kind "masquerade" gives a machine's port one port
// outside, so that holes can be punched; "masquerade fully-random" one for
// each peer.
func (b *bed) atHome(name string, n int, kind string) {
	router := name + "-router"
	b.onNet(router, n)
	b.forward(router)
	b.sh("", "ip", "netns", "add", name)
	b.sh(router, "ip", "link", "add", "lan", "type", "veth", "peer", "name", "eth", "netns", name)
	b.sh(router, "ip", "addr", "add", fmt.Sprintf("10.0.%d.1/24", n), "dev", "lan")
	b.sh(router, "ip", "link", "set", "lan", "up")
	b.sh(name, "ip", "link", "set", "lo", "up")
	b.sh(name, "ip", "addr", "add", fmt.Sprintf("10.0.%d.2/24", n), "dev", "eth")
	b.sh(name, "ip", "link", "set", "eth", "up")
	b.sh(name, "ip", "route", "add", "default", "via", fmt.Sprintf("10.0.%d.1", n))
	b.sh(router, "nft", fmt.Sprintf(`
		table ip home {
			chain po { type nat hook postrouting priority 100; oifname "wan" %s; }
			chain ci { type filter hook input priority 0; iifname "wan" ct state new drop; }
			chain cf { type filter hook forward priority 0; iifname "wan" ct state new drop; }
		}`, kind))
}

// cut parts the internet: nothing passes between the two groups until the
// function that it returns is called.
func (b *bed) cut(one, other []int) (heal func()) {
	set := func(ns []int) string {
		var ips []string
		for _, n := range ns {
			ips = append(ips, wan(n))
		}
		return "{ " + strings.Join(ips, ", ") + " }"
	}
	x, y := set(one), set(other)
	b.sh("", "nft", "add rule ip cut cf ip saddr "+x+" ip daddr "+y+" drop; add rule ip cut cf ip saddr "+y+" ip daddr "+x+" drop")
	return func() { b.sh("", "nft", "flush chain ip cut cf") }
}

// slow bounds what a machine on the internet is sent, in KiB a second.
func (b *bed) slow(n, rate int) (stop func()) {
	b.sh("", "nft", fmt.Sprintf("add rule ip cut cf ip daddr %s limit rate over %d kbytes/second burst 64 kbytes drop", wan(n), rate))
	return func() { b.sh("", "nft", "flush chain ip cut cf") }
}

// sent is how many bytes a machine on the internet has sent.
func (b *bed) sent(n int) (bytes int) {
	text, err := os.ReadFile(fmt.Sprintf("/sys/class/net/w%d/statistics/rx_bytes", n))
	if err != nil { // /sys is of another namespace
		text = []byte(b.sh("", "sh", "-c", fmt.Sprintf("ip -s link show w%d | awk '/RX:/ {getline; print $1}'", n)))
	}
	if _, err := fmt.Sscan(string(text), &bytes); err != nil {
		b.t.Fatal(err)
	}
	return bytes
}

// A resident is somebody's node on a machine.
type resident struct {
	bed  *bed
	ns   string
	flag []string
	data string
	cmd  *exec.Cmd
	log  *os.File
	at   []string // where its lobby listens
}

// live starts a node on a machine.
func (b *bed) live(ns string, flags ...string) *resident {
	r := &resident{bed: b, ns: ns, flag: flags, data: filepath.Join(b.dir, ns)}
	log, err := os.Create(r.data + ".log")
	if err != nil {
		b.t.Fatal(err)
	}
	r.log = log
	b.t.Cleanup(func() {
		if b.t.Failed() {
			text, _ := os.ReadFile(r.data + ".log")
			b.t.Logf("%s said:\n%s", ns, text[max(0, len(text)-3000):])
		}
		_ = log.Close()
	})
	r.start()
	return r
}

func (r *resident) start() {
	t := r.bed.t
	args := append([]string{"netns", "exec", r.ns, "metastate", "run", "--json", "--no-console", "--data", r.data, "--passphrase-file", r.bed.dir + "/pass"}, r.flag...)
	r.cmd = exec.Command("ip", args...)
	r.cmd.Stderr = r.log
	out, err := r.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.kill)
	var first struct{ Data ready }
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err != nil || json.Unmarshal(line, &first) != nil || !first.Data.Ready {
		text, _ := os.ReadFile(r.data + ".log")
		t.Fatalf("%s did not start: %v %s %s", r.ns, err, line, text)
	}
	r.at = first.Data.Listen
}

// stop ends the node as a person does.
func (r *resident) stop() {
	if err := r.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		r.bed.t.Fatal(err)
	}
	if err := r.cmd.Wait(); err != nil {
		r.bed.t.Fatalf("%s: stopping: %v", r.ns, err)
	}
}

// kill ends the node at once. Killing it twice is fine.
func (r *resident) kill() {
	_ = r.cmd.Process.Kill()
	_ = r.cmd.Wait()
}

// try runs a command at the node, which answers with the data that it prints.
func (r *resident) try(stdin string, args ...string) (data map[string]any, err error) {
	cmd := exec.Command("metastate", append(args, "--data", r.data, "--json")...)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.Output()
	var envelope struct {
		Data  map[string]any
		Error json.RawMessage
	}
	if jerr := json.Unmarshal(out, &envelope); jerr != nil {
		return nil, fmt.Errorf("%v: %q: %w", args, out, jerr)
	}
	if err != nil {
		err = fmt.Errorf("%v: %w: %s", args, err, envelope.Error)
	}
	return envelope.Data, err
}

func (r *resident) do(args ...string) map[string]any {
	r.bed.t.Helper()
	data, err := r.try("", args...)
	if err != nil {
		r.bed.t.Fatalf("%s: %v", r.ns, err)
	}
	return data
}

// await asks until an answer will do.
func (r *resident) await(what string, within time.Duration, ok func(data map[string]any) bool, args ...string) {
	r.bed.t.Helper()
	var last map[string]any
	var err error
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(within); time.Now().Before(end); <-tick.C {
		if last, err = r.try("", args...); err == nil && ok(last) {
			r.bed.log("%s: %s", r.ns, what)
			return
		}
	}
	text, _ := json.Marshal(last)
	r.bed.t.Fatalf("%s: not within %v: %s; last: %s %v", r.ns, within, what, text, err)
}
