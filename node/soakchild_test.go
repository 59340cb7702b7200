package node

import (
	"bufio"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/decision"
)

// A sight is what a soaked node says of itself.
type sight struct {
	Height      uint64 `json:"height"`
	Checkpoint  string `json:"checkpoint"`
	Sets        string `json:"sets"` // digest over all sets held
	Provisional int    `json:"provisional"`
	Members     int    `json:"members"`
	Peers       int    `json:"peers"`
	Trouble     string `json:"trouble,omitempty"`
	Goroutines  int    `json:"goroutines"`
	Files       int    `json:"files"` // descriptors
	Heap        uint64 `json:"heap"`  // bytes in use, after collecting
	Resident    uint64 `json:"resident"`
}

// childSoak is a node that does what lines on standard input say, until there
// are no more:
//
//	found, join LINK NAME, invite   enter, and let others in
//	write, rest                     begin and stop writing
//	look                            a sight, as JSON
//	holds ID                        whether a control record is held
//
// Each record written is told once it is durable: wrote ID.
func childSoak(n *Node) error {
	s := soaked{n: n}
	defer s.rest()
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 1<<20)
	s.say("open")
	for in.Scan() {
		words := strings.Fields(in.Text())
		if err := s.do(words); err != nil {
			return fmt.Errorf("%s: %w", words[0], err)
		}
	}
	s.rest()
	return n.Close()
}

type soaked struct {
	n    *Node
	stop context.CancelFunc // nil while it does not write
	wg   sync.WaitGroup
	out  sync.Mutex
}

func (s *soaked) say(words ...any) {
	s.out.Lock()
	defer s.out.Unlock()
	fmt.Println(words...)
}

func (s *soaked) do(words []string) error {
	ctx := context.Background()
	switch words[0] {
	case "found":
		_, err := s.n.Found(ctx, FoundRequest{Name: "Soaked", As: "Anna"})
		s.say("founded")
		return err
	case "join":
		m, err := s.n.Join(ctx, JoinRequest{Link: words[1], As: words[2]})
		if err != nil {
			return err
		}
		c := s.n.lookup(m.Metastate)
		for !isMember(c)() {
			<-c.Changed()
		}
		s.say("joined")
		return nil
	}
	c := s.n.Communities()[0]
	switch words[0] {
	case "invite":
		inv, err := c.CreateInvite(ctx, InviteRequest{Expires: time.Hour})
		s.say("link", inv.Link)
		return err
	case "write":
		if s.stop == nil {
			var ctx context.Context
			ctx, s.stop = context.WithCancel(context.Background())
			s.wg.Go(func() { s.write(ctx, c) })
		}
	case "rest":
		s.rest()
		s.say("rests")
	case "look":
		b, err := json.Marshal(look(c))
		s.say("sight", string(b))
		return err
	case "holds":
		id, err := protocol.ParseID(words[1])
		held, err2 := c.store.Has(id)
		s.say("held", held && err == nil && err2 == nil)
	default:
		return fmt.Errorf("unknown")
	}
	return nil
}

func (s *soaked) rest() {
	if s.stop != nil {
		s.stop()
		s.wg.Wait()
		s.stop = nil
	}
}

// write writes about once a second: ballots, and now and then a proposal or an
// invite. What the rules refuse at the moment is left.
func (s *soaked) write(ctx context.Context, c *Community) {
	proposed := 0
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Duration(400+rand.IntN(1200)) * time.Millisecond):
		}
		snap := c.Snapshot()
		if snap == nil {
			continue
		}
		var open []string
		for _, p := range c.Proposals().Proposals {
			if p.Phase == string(decision.Voting) {
				open = append(open, p.Proposal.String())
			}
		}
		switch k := rand.IntN(12); {
		case (k == 0 || len(open) == 0) && proposed < 200:
			proposed++
			if p, err := c.Propose(ctx, ProposeRequest{Title: fmt.Sprint("Question ", rand.Uint32()), ClosesIn: time.Duration(15+rand.IntN(60)) * time.Second}); err == nil {
				s.say("wrote", p.Proposal)
			}
		case k == 1:
			if inv, err := c.CreateInvite(ctx, InviteRequest{Expires: time.Hour}); err == nil {
				s.say("wrote", inv.Invite)
			}
		case len(open) > 0:
			if _, err := c.Vote(ctx, open[rand.IntN(len(open))], []string{"yes", "no", "abstain"}[rand.IntN(3)]); err == nil {
				s.say("voted")
			}
		}
	}
}

func look(c *Community) (s sight) {
	st := c.Status()
	s = sight{
		Height: st.Checkpoint.Height, Checkpoint: fmt.Sprint(st.Checkpoint), Provisional: st.Provisional,
		Peers: st.Peers, Trouble: st.Trouble,
	}
	if snap := c.Snapshot(); snap != nil {
		s.Members = int(snap.Final.Roll().Size())
	}
	c.mu.Lock()
	r := c.replica
	c.mu.Unlock()
	if r != nil {
		if local, err := r.Snapshot(); err == nil {
			root := local.Index.Root()
			s.Sets = hex.EncodeToString(root[:8])
		}
	}
	debug.FreeOSMemory()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	s.Heap, s.Goroutines = m.HeapAlloc, runtime.NumGoroutine()
	s.Files, s.Resident = descriptors(), resident()
	return s
}

// descriptors is how many files and sockets the process has open, where the
// system tells.
func descriptors() int {
	list, _ := os.ReadDir("/proc/self/fd")
	return len(list)
}

// resident is the process's memory in bytes, where the system tells.
func resident() (n uint64) {
	b, _ := os.ReadFile("/proc/self/statm")
	var size uint64
	_, _ = fmt.Sscan(string(b), &size, &n)
	return n * uint64(os.Getpagesize())
}
