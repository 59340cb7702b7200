package node

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/metastate-p2p/metastate/identity/vault"
	"github.com/metastate-p2p/metastate/store"
)

// childEnv has a test binary do one thing, say so on standard output, and wait
// to be killed.
const childEnv = "METASTATE_NODE_TEST_CHILD"

func TestMain(m *testing.M) {
	if do := os.Getenv(childEnv); do != "" {
		if err := child(strings.Split(do, "\n")); err != nil {
			fmt.Println("failed:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func child(args []string) error {
	ctx := context.Background()
	switch args[0] {
	case "fill":
		return childFill(args[1])
	case "order":
		return childOrder(args[1:])
	}
	n, err := Open(ctx, folderConfig(args[1]))
	if err != nil {
		return err
	}
	switch args[0] {
	case "soak":
		return childSoak(n)
	case "import":
		return childImport(ctx, n, args[2])
	case "join":
		fmt.Println("joining")
		m, err := n.Join(ctx, JoinRequest{Link: args[2], As: "Boris"})
		if err != nil {
			return err
		}
		c := n.lookup(m.Metastate)
		for step := ""; ; {
			changed := c.Changed()
			if s := c.Status(); s.Step != step {
				step = s.Step
				fmt.Println(step, s.Persona)
			}
			<-changed
		}
	case "vote":
		m, err := n.Found(ctx, FoundRequest{Name: "Free Coders"})
		if err != nil {
			return err
		}
		c := n.lookup(m.Metastate)
		p, err := c.Propose(ctx, ProposeRequest{Title: "Meet on Fridays", ClosesIn: 4 * time.Second})
		if err != nil {
			return err
		}
		for {
			changed := c.Changed()
			v, err := c.Vote(ctx, p.Proposal.String(), "yes")
			if err == nil {
				fmt.Println("receipt", v.Receipt, p.Proposal)
				break
			}
			<-changed
		}
		select {}
	}
	return errors.New("asked to do " + args[0])
}

// A victim is a child process about to be killed.
type victim struct {
	t   *testing.T
	cmd *exec.Cmd
	out *bufio.Scanner
}

func spawn(t *testing.T, args ...string) *victim {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+strings.Join(args, "\n"))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	v := &victim{t, cmd, bufio.NewScanner(out)}
	t.Cleanup(v.kill)
	return v
}

// says waits for a line with that beginning and returns its other words.
func (v *victim) says(word string) []string {
	v.t.Helper()
	for v.out.Scan() {
		if words := strings.Fields(v.out.Text()); len(words) > 0 && words[0] == word {
			return words[1:]
		}
		if strings.HasPrefix(v.out.Text(), "failed") {
			break
		}
	}
	v.t.Fatalf("the child did not say %q but %q", word, v.out.Text())
	return nil
}

// kill ends the process with SIGKILL: nothing is flushed or closed.
func (v *victim) kill() {
	if v.cmd.ProcessState == nil {
		_ = v.cmd.Process.Kill()
		_ = v.cmd.Wait()
	}
}

func newFolder(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data")
	if err := createVault(dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

// A newcomer whose node is killed at any step of joining becomes a member after
// a restart, as the same persona once the request was saved.
func TestKilledMidJoin(t *testing.T) {
	founder := mustOpen(t, Config{Ephemeral: true, Listen: []string{"/ip4/127.0.0.1/tcp/0"}})
	a := foundAs(t, founder, "Free Coders", "Anna")
	for _, step := range []string{"joining", stepSaved, stepReached, stepVerified, stepMember} {
		t.Run(step, func(t *testing.T) {
			inv, err := a.CreateInvite(t.Context(), InviteRequest{})
			if err != nil {
				t.Fatal(err)
			}
			link := inv.Link
			if step == stepSaved { // nobody answers until after the kill
				link = unreachable(t, link)
			}
			dir := newFolder(t)
			v := spawn(t, "join", dir, link)
			persona := ""
			if step == "joining" {
				v.says(step)
			} else if at := v.atLeast(step); len(at) > 0 {
				persona = at[0]
			}
			v.kill()
			n := mustOpen(t, folderConfig(dir))
			if step == stepSaved {
				c := n.Communities()[0]
				if s := c.Status(); s.Step != stepSaved || s.Persona.String() != persona {
					t.Fatalf("taken up as %+v, was saved as %s", s, persona)
				}
				return // its lobby never answers
			}
			m, err := n.Join(t.Context(), JoinRequest{Link: link, As: "Boris"}) // a no-op if it was saved
			if err != nil {
				t.Fatal("joining again: ", err)
			}
			if persona != "" && m.Persona.String() != persona {
				t.Errorf("joined as %s, before the kill as %s", m.Persona, persona)
			}
			c := n.lookup(m.Metastate)
			await(t, c, "a member after all", isMember(c))
			roll, err := a.Roll(nil, false)
			if err != nil {
				t.Fatal(err)
			}
			seen := 0
			for _, e := range roll.Members {
				if e.Persona == m.Persona {
					seen++
				}
			}
			if seen != 1 {
				t.Errorf("%d times on the founder's roll", seen)
			}
		})
	}
}

// atLeast waits until the child says a step of joining or a later one.
func (v *victim) atLeast(step string) []string {
	v.t.Helper()
	order := []string{stepSaved, stepReached, stepVerified, stepMember}
	due := false
	for v.out.Scan() {
		words := strings.Fields(v.out.Text())
		for _, s := range order {
			due = due || s == step
			if due && words[0] == s {
				return words[1:]
			}
		}
		due = false
	}
	v.t.Fatalf("the child did not come to %q: %q", step, v.out.Text())
	return nil
}

// unreachable is the invite with a lobby where nobody listens.
func unreachable(t *testing.T, text string) string {
	t.Helper()
	l, err := parseLink(text)
	if err != nil {
		t.Fatal(err)
	}
	p := l.peers()[0]
	p.Addrs = []string{"/ip4/127.0.0.1/tcp/1"}
	nowhere, err := bootstrapAt(p)
	if err != nil {
		t.Fatal(err)
	}
	l.Bootstraps = []bootstrap{nowhere}
	return l.String()
}

// Joining was cut off after its store was made and before the vault was
// written: the store's key is lost, and joining again must not stumble over it.
func TestJoinAfterLostStoreKey(t *testing.T) {
	founder := mustOpen(t, Config{Ephemeral: true, Listen: []string{"/ip4/127.0.0.1/tcp/0"}})
	a := foundAs(t, founder, "Free Coders", "Anna")
	n := mustOpen(t, folderConfig(newFolder(t)))
	key := random32()
	left, err := store.Open(store.Config{Dir: n.storeDir(a.id), Key: key[:]})
	if err == nil {
		err = left.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	enterBy(t, n, a, "Boris")
}

// The vault has a persona whose store is not open: another one for the same
// metastate would be a second self.
func TestNoSecondPersonaByAccident(t *testing.T) {
	founder := mustOpen(t, Config{Ephemeral: true, Listen: []string{"/ip4/127.0.0.1/tcp/0"}})
	a := foundAs(t, founder, "Free Coders", "Anna")
	inv, err := a.CreateInvite(t.Context(), InviteRequest{})
	if err != nil {
		t.Fatal(err)
	}
	dir := newFolder(t)
	n := mustOpen(t, folderConfig(dir))
	err = vault.Update(VaultPath(dir), []byte(testPassphrase), func(c *vault.Contents) error {
		c.Citizenships = append(c.Citizenships, vault.Citizenship{Daily: newDaily(a.id, "earlier", random32())})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := n.Join(t.Context(), JoinRequest{Link: inv.Link}); AsError(err).Code != "already-entered" {
		t.Error("joined a second time: ", err)
	}
}

// A vote that was acknowledged survives the death of the only node that has it,
// which is the only clerk's too, and is counted.
func TestKilledMidVote(t *testing.T) {
	for i := range 2 {
		dir := newFolder(t)
		v := spawn(t, "vote", dir)
		said := v.says("receipt")
		v.kill()
		n := mustOpen(t, folderConfig(dir))
		c := n.Communities()[0]
		receipt, ref := said[0], said[1]
		if got, err := c.Receipt(ref); err != nil || got.Receipt != receipt {
			t.Fatalf("run %d: after the kill the ballot is %+v, %v; acknowledged was %s", i, got, err, receipt)
		}
		await(t, c, "the count", func() bool { got, err := c.Tally(ref); return err == nil && got.Final })
		got, err := c.Tally(ref)
		if err != nil || got.Counted != 1 || got.Votes["yes"] != 1 || got.Outcome != "passed" {
			t.Errorf("run %d: counted %+v, %v", i, got, err)
		}
		if check, err := c.CheckReceipt(receipt); err != nil || !check.Covered {
			t.Errorf("run %d: the receipt: %+v, %v", i, check, err)
		}
		if err := n.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
