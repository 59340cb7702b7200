package node

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Of ten nodes, the first two are never killed, so that what they hold can be
// compared between the warm-up and the end.
const (
	soakNodes   = 10
	soakUnhurt  = 2
	soakPatient = 3 * time.Minute // until all are equal

	// What a node that was not killed may have gained since the warm-up: a record
	// held takes memory, everything else must come back to what it was.
	slackGoroutines = 60
	slackFiles      = 20
	slackHeap       = 32 << 20
)

// Ten processes write all the time while some are killed with SIGKILL and started
// again, and others stopped for a while and continued, which the rest take for a
// partition. At the end all digests are equal, every record that a node said was
// durable is there, and the nodes that were not killed have no more goroutines,
// descriptors and memory than the records explain. METASTATE_SOAK says for how
// long (60s, 10m); without it, it skips.
func TestSoak(t *testing.T) {
	env := os.Getenv("METASTATE_SOAK")
	if env == "" {
		t.Skip("METASTATE_SOAK, a duration, is not set")
	}
	length, err := time.ParseDuration(env)
	if err != nil || length < time.Second {
		t.Fatalf("METASTATE_SOAK is %q, not a duration", env)
	}
	s := newSoak(t)
	end := time.Now().Add(length)
	warm := time.Now().Add(length / 4)
	var before []sight
	for time.Now().Before(end) {
		if before == nil && time.Now().After(warm) {
			for _, n := range s.nodes[:soakUnhurt] {
				before = append(before, n.look(t))
			}
		}
		s.harm(t)
	}
	if before == nil {
		t.Fatalf("%v was too short to warm up", length)
	}
	s.heal(t)
	last := s.equal(t)
	s.complete(t)
	for i, b := range before {
		a := s.nodes[i].look(t)
		t.Logf("node %d: goroutines %d → %d, descriptors %d → %d, heap %d → %d MB, resident %d → %d MB",
			i, b.Goroutines, a.Goroutines, b.Files, a.Files, b.Heap>>20, a.Heap>>20, b.Resident>>20, a.Resident>>20)
		if a.Goroutines > b.Goroutines+slackGoroutines || a.Files > b.Files+slackFiles || a.Heap > b.Heap+slackHeap {
			t.Errorf("node %d has grown", i)
		}
	}
	t.Logf("%v: %d control records and %d ballots written, %d kills, %d stops; height %d, sets %s on all %d nodes; resident %d to %d MB",
		length, len(s.wrote), s.voted, s.kills, s.stops, last.Height, last.Sets, soakNodes, s.least>>20, s.most>>20)
}

// A soak is the nodes and what happened to them.
type soak struct {
	nodes        []*soakNode
	kills, stops int
	least, most  uint64 // bytes resident at the end

	mu    sync.Mutex
	wrote []string // guarded by mu: control records told durable
	voted int      // guarded by mu
}

// A soakNode is a process, alive or not. What it says but is not asked for goes
// to the soak.
type soakNode struct {
	of   *soak
	dir  string
	cmd  *exec.Cmd // nil while it is dead
	in   io.WriteCloser
	said chan string // answers; closed when the process ends
}

func newSoak(t *testing.T) *soak {
	s := &soak{}
	for range soakNodes {
		n := &soakNode{of: s, dir: newFolder(t)}
		n.start(t)
		s.nodes = append(s.nodes, n)
		t.Cleanup(n.kill)
	}
	s.nodes[0].ask(t, "found", "founded")
	for i, n := range s.nodes[1:] {
		link := s.nodes[0].ask(t, "invite", "link")
		n.ask(t, fmt.Sprintf("join %s Member%d", link, i), "joined")
	}
	for _, n := range s.nodes {
		n.tell(t, "write")
	}
	return s
}

func (n *soakNode) start(t *testing.T) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"=soak\n"+n.dir)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	n.cmd, n.in, n.said = cmd, in, make(chan string, 16)
	go n.hear(out, n.said)
	n.await(t, "open")
}

// hear sorts what a process says.
func (n *soakNode) hear(out io.Reader, said chan<- string) {
	defer close(said)
	for lines := bufio.NewScanner(out); lines.Scan(); {
		word, rest, _ := strings.Cut(lines.Text(), " ")
		n.of.mu.Lock()
		switch word {
		case "wrote":
			n.of.wrote = append(n.of.wrote, rest)
		case "voted":
			n.of.voted++
		}
		n.of.mu.Unlock()
		if word != "wrote" && word != "voted" {
			said <- lines.Text()
		}
	}
}

func (n *soakNode) tell(t *testing.T, line string) {
	t.Helper()
	if _, err := fmt.Fprintln(n.in, line); err != nil {
		t.Fatal("a node that was not killed is gone: ", err)
	}
}

// await waits for an answer of that beginning and returns the rest of it.
func (n *soakNode) await(t *testing.T, word string) string {
	t.Helper()
	late := time.After(soakPatient)
	for {
		select {
		case line, ok := <-n.said:
			if !ok || strings.HasPrefix(line, "failed") {
				t.Fatalf("a node ended: %s", line)
			}
			if first, rest, _ := strings.Cut(line, " "); first == word {
				return rest
			}
		case <-late:
			t.Fatalf("a node does not say %q", word)
		}
	}
}

func (n *soakNode) ask(t *testing.T, line, word string) string {
	t.Helper()
	n.tell(t, line)
	return n.await(t, word)
}

func (n *soakNode) look(t *testing.T) (s sight) {
	t.Helper()
	if err := json.Unmarshal([]byte(n.ask(t, "look", "sight")), &s); err != nil {
		t.Fatal(err)
	}
	return s
}

func (n *soakNode) kill() {
	if n.cmd == nil {
		return
	}
	_ = n.cmd.Process.Kill()
	_ = n.cmd.Wait()
	n.cmd = nil
}

// harm kills a node and starts it again after a while, or stops one for a while.
func (s *soak) harm(t *testing.T) {
	t.Helper()
	while := func(most int) { <-time.After(time.Duration(500+rand.IntN(most)) * time.Millisecond) }
	while(1500)
	if rand.IntN(2) == 0 {
		n := s.nodes[soakUnhurt+rand.IntN(soakNodes-soakUnhurt)]
		n.kill()
		s.kills++
		while(3000)
		n.start(t)
		n.tell(t, "write")
		return
	}
	i := rand.IntN(soakNodes - 2)
	var cut []*soakNode
	for _, n := range s.nodes[i : i+1+rand.IntN(3)%(soakNodes-i)] {
		cut = append(cut, n)
		_ = n.cmd.Process.Signal(syscall.SIGSTOP)
	}
	s.stops += len(cut)
	while(6000)
	for _, n := range cut {
		_ = n.cmd.Process.Signal(syscall.SIGCONT)
	}
}

// heal has everybody stop writing.
func (s *soak) heal(t *testing.T) {
	t.Helper()
	for _, n := range s.nodes {
		n.ask(t, "rest", "rests")
	}
}

// equal waits until all nodes are at one checkpoint, with nothing that is not
// final, and hold the same sets.
func (s *soak) equal(t *testing.T) sight {
	t.Helper()
	for late := time.Now().Add(soakPatient); ; {
		s.least, s.most = 1<<62, 0
		var all []sight
		same := true
		for _, n := range s.nodes {
			a := n.look(t)
			all = append(all, a)
			s.least, s.most = min(s.least, a.Resident), max(s.most, a.Resident)
			same = same && a.Provisional == 0 && a.Checkpoint == all[0].Checkpoint && a.Sets == all[0].Sets
		}
		if same {
			return all[0]
		}
		if time.Now().After(late) {
			t.Fatalf("the nodes remain different: %+v", all)
		}
		<-time.After(time.Second)
	}
}

// complete checks that every control record that was told durable is held.
func (s *soak) complete(t *testing.T) {
	t.Helper()
	s.mu.Lock()
	wrote := s.wrote
	s.mu.Unlock()
	if len(wrote) == 0 || s.voted == 0 {
		t.Error("nothing was written")
	}
	for i, id := range wrote {
		if n := s.nodes[i%soakNodes]; n.ask(t, "holds "+id, "held") != "true" {
			t.Errorf("record %s was durable, and node %d has it no more", id, i%soakNodes)
		}
	}
}
