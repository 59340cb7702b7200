package store

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

const childRole = "METASTATE_STORE_TEST_CHILD"

// child is what the test binary does when it is started as a writer or reader.
func child(role string) int {
	verb, rest, _ := strings.Cut(role, " ")
	var err error
	switch verb {
	case "write":
		err = childWrite(rest)
	case "read":
		err = childRead(rest)
	case "fill":
		err = childFill(rest)
	}
	if err != nil {
		fmt.Println("error", err)
		return 3
	}
	return 0
}

func startChild(t *testing.T, role string) (*exec.Cmd, *bufio.Scanner) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childRole+"="+role)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	return cmd, bufio.NewScanner(out)
}

// childWrite continues the sequence of test items, saying what is acknowledged.
// Now and then it stores a batch of several Badger transactions.
func childWrite(dir string) error {
	s, err := Open(Config{Dir: dir, Key: testKey})
	if err != nil {
		return err
	}
	fmt.Println("open", s.Len())
	for {
		n := s.Len()
		to := n + 1 + n%7
		if n%5 == 4 {
			to = n + 900
		}
		if n%11 == 3 {
			to = n + 4000
		}
		v := strconv.AppendUint(nil, to, 10)
		if err := s.Commit(Batch{Items: items(n, to, 200), Private: map[string][]byte{"n": v}}); err != nil {
			return err
		}
		fmt.Println("acked", to)
	}
}

// Whatever was acknowledged before SIGKILL is there after it, whole batches only.
func TestKill(t *testing.T) {
	rounds := 200
	if testing.Short() {
		rounds = 20
	}
	dir := t.TempDir()
	rng := rand.New(rand.NewPCG(1, 2))
	acked := uint64(0)
	for round := range rounds {
		cmd, out := startChild(t, "write "+dir)
		// Kill after some acknowledgements or some time, whichever is first: at
		// any point of opening and writing.
		after := rng.IntN(6)
		timer := time.AfterFunc(time.Duration(rng.IntN(120_000))*time.Microsecond, func() { cmd.Process.Kill() })
		last := ""
		for out.Scan() {
			last = out.Text()
			if n, ok := strings.CutPrefix(last, "acked "); ok {
				acked, _ = strconv.ParseUint(n, 10, 64)
				if after--; after < 0 {
					cmd.Process.Kill()
				}
			}
		}
		timer.Stop()
		cmd.Wait()
		if strings.HasPrefix(last, "error") {
			t.Fatalf("round %d: %s", round, last)
		}
		// The next writer opens, which compares log and inventory; every tenth
		// time look at every byte ourselves, and start small again.
		if round%10 == 9 || round == rounds-1 {
			checkAfterKill(t, dir, acked)
			dir, acked = t.TempDir(), 0
		}
	}
}

func checkAfterKill(t *testing.T, dir string, acked uint64) {
	t.Helper()
	s, err := Open(Config{Dir: dir, Key: testKey})
	if errors.Is(err, ErrLocked) { // the kernel is still ending the child
		t.Fatal("the lock outlived the process")
	}
	must(t, err)
	defer s.Close()
	if s.Len() < acked {
		t.Fatalf("%d records, %d were acknowledged", s.Len(), acked)
	}
	holds(t, s, items(0, s.Len(), 200))
	if s.Len() > 0 {
		// Records and private value are of one batch.
		if v, err := s.Private("n"); err != nil || string(v) != fmt.Sprint(s.Len()) {
			t.Fatalf("%d records, but %s: %v", s.Len(), v, err)
		}
	}
	if r, err := s.Verify(context.Background()); err != nil || !r.OK() {
		t.Fatalf("%+v %v", r, err)
	}
}
