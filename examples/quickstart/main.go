// Quickstart tells, with real nodes on this machine, how two communities live
// without a server: people join by invite, one of them belongs to both under
// personas that nobody can link, a node is killed in the middle of a vote and
// catches up, and a newcomer is admitted while the founder is away.
//
//	go run ./examples/quickstart
//
// It needs nothing else and takes under 20 seconds. The nodes are real: each is
// a process of its own with its own folder, encrypted vault, keys and network
// hosts; they meet over TCP on 127.0.0.1 only, and the story talks to them over
// their sockets as the command line does. The folders are temporary and gone at
// the end. The exit code is 0 only if everything told was checked.
//
// There are four people because three clerks are the fewest of whom one may be
// away, and the newcomer who comes in meanwhile is the fourth.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"

	"github.com/metastate-p2p/metastate/node"
	"github.com/metastate-p2p/metastate/protocol"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var err error
	if dir := os.Getenv(nodeFolder); dir != "" { // started by switchOn
		signal.Ignore(os.Interrupt) // Ctrl-C is for who tells the story
		err = beNode(context.Background(), dir, os.Stdin, os.Stdout)
	} else {
		err = run(ctx, os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "quickstart:", err)
		os.Exit(1)
	}
}

// patience bounds the whole story.
const patience = 60 * time.Second

// run tells the story to w. An error means that something did not come about.
func run(ctx context.Context, w io.Writer) (err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	dir, err := os.MkdirTemp("", "metastate-quickstart-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	s := &story{w: w, began: time.Now()}
	var people []*person
	defer func() {
		for _, p := range people {
			if cerr := p.switchOff(); err == nil {
				err = cerr
			}
		}
	}()
	for _, name := range []string{"Anna", "Boris", "Cveta", "Dora"} {
		p, err := newPerson(ctx, dir, name)
		if err != nil {
			return fmt.Errorf("starting %s's node: %w", name, err)
		}
		people = append(people, p)
	}
	anna, boris, cveta, dora := people[0], people[1], people[2], people[3]
	for _, chapter := range []func() error{
		func() error { return s.foundAndJoin(ctx, anna, boris, cveta) },
		func() error { return s.secondLife(ctx, boris) },
		func() error { return s.clerks(ctx, anna, boris, cveta) },
		func() error { return s.vote(ctx, anna, boris, cveta) },
		func() error { return s.founderAway(ctx, anna, boris, dora) },
		func() error { return s.equal(ctx, people) },
	} {
		if err := chapter(); err != nil {
			return err
		}
	}
	s.say("That was %.0f seconds. Nobody had to ask a server, because there is none.", time.Since(s.began).Seconds())
	return nil
}

// A story numbers its steps, and keeps what later chapters come back to.
type story struct {
	w     io.Writer
	began time.Time
	step  int

	coders   protocol.ID // Free Coders
	proposal string      // its vote
}

// title begins a numbered step.
func (s *story) title(format string, args ...any) {
	s.step++
	fmt.Fprintf(s.w, "\n%d. %s\n", s.step, fmt.Sprintf(format, args...))
}

// say adds a line to the step.
func (s *story) say(format string, args ...any) {
	fmt.Fprintf(s.w, "   %s\n", fmt.Sprintf(format, args...))
}

// foundAndJoin: Anna founds a union, two people join by invites.
func (s *story) foundAndJoin(ctx context.Context, anna, boris, cveta *person) error {
	s.title("Anna founds a union")
	m, err := anna.api.Found(ctx, node.FoundRequest{Name: "Free Coders", Template: "union", As: anna.name})
	if err != nil {
		return err
	}
	s.coders = m.Metastate
	s.say("\"Free Coders\" is %s: the fingerprint of its founding record, charter included.", short(m.Metastate))
	s.say("It lives on Anna's computer, and on that of whoever joins.")

	s.title("Boris and Cveta join by invite")
	link, err := s.join(ctx, anna, boris)
	if err != nil {
		return err
	}
	s.say("Anna sends Boris a link of %d letters. It names no member and works once.", len(link.Link))
	s.say("Boris is a member. On the roll he is persona %s.", short(link.guest))
	second, err := s.join(ctx, boris, cveta)
	if err != nil {
		return err
	}
	s.say("Boris invites Cveta: in this union every member may. She is a member, persona %s.", short(second.guest))
	return nil
}

// A joining is an invite that somebody used.
type joining struct {
	node.InviteLink
	guest protocol.ID // the persona
}

// join has one person invite another to Free Coders, and waits until the
// membership is final.
func (s *story) join(ctx context.Context, host, guest *person) (j joining, err error) {
	if j.InviteLink, err = host.in(s.coders).CreateInvite(ctx, node.InviteRequest{}); err != nil {
		return j, fmt.Errorf("%s inviting: %w", host.name, err)
	}
	m, err := guest.api.Join(ctx, node.JoinRequest{Link: j.Link, As: guest.name})
	if err != nil {
		return j, fmt.Errorf("%s joining: %w", guest.name, err)
	}
	if m.Metastate != s.coders {
		return j, fmt.Errorf("%s came to %s", guest.name, m.Metastate)
	}
	j.guest = m.Persona
	_, err = guest.untilStatus(ctx, s.coders, "membership", func(st node.Status) bool { return st.Standing == "member" })
	return j, err
}

// secondLife: Boris founds a club, as somebody else.
func (s *story) secondLife(ctx context.Context, boris *person) error {
	s.title("Boris also plays chess, and that is nobody's business")
	m, err := boris.api.Found(ctx, node.FoundRequest{Name: "Chess Club", Template: "club", As: "Knight"})
	if err != nil {
		return err
	}
	st, err := boris.status(ctx, s.coders)
	if err != nil {
		return err
	}
	there, here := st.Persona, m.Persona
	s.say("In Free Coders he is %s, in the Chess Club %s.", short(there), short(here))
	if there == here {
		return fmt.Errorf("one persona in two metastates: %s", here)
	}
	s.say("Nobody can link the two: each has its own keys, network identity, ports and")
	s.say("encrypted store. They come from Boris's vault in ways that only the vault can retrace,")
	s.say("and nothing of his in one is found in the other. (Who watches his internet line")
	s.say("still sees one address: hiding that takes Tor.)")
	return nil
}

// clerks: three of them keep finality going when one is away.
func (s *story) clerks(ctx context.Context, anna *person, others ...*person) error {
	s.title("Anna appoints two more clerks")
	var ids []string
	for _, p := range others {
		st, err := p.status(ctx, s.coders)
		if err != nil {
			return err
		}
		ids = append(ids, st.Persona.String())
	}
	if _, err := anna.in(s.coders).Appoint(ctx, "clerk", ids); err != nil {
		return err
	}
	var st node.Status
	for _, p := range append(others, anna) {
		var err error
		three := func(st node.Status) bool { return st.Clerks.Count == 3 }
		if st, err = p.untilStatus(ctx, s.coders, "three clerks", three); err != nil {
			return err
		}
	}
	s.say("Clerks sign checkpoints, which make records final. They can delay, never forge:")
	s.say("every node recomputes what they sign. Any %d of %d are enough.", st.Clerks.Quorum, st.Clerks.Count)
	return nil
}
