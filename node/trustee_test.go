package node

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/decision"
	"github.com/metastate-p2p/metastate/protocol/decision/committee"
	"github.com/metastate-p2p/metastate/protocol/state"
)

// A council is a town of six, the first of whom is its clerk and the next four its
// trustees, the last of whom is off all the time.
type council struct {
	*town
	work map[int]func() // ends the work of a trustee
}

const offTrustee = 4

func newCouncil(t testing.TB) *council {
	w := &council{town: emptyTown(t, 6, 1), work: map[int]func(){}}
	w.panel = 1
	founder := w.found()
	var trustees []protocol.ID
	for i := 1; i < 6; i++ {
		h := &home{town: w.town, i: i, ask: make(chan struct{}, 1), heard: map[protocol.ID]bool{}}
		h.daily = w.admit(founder)
		w.homes = append(w.homes, h)
		if i <= offTrustee {
			trustees = append(trustees, protocol.ID(h.daily.Persona))
		}
	}
	founder.finalise()
	founder.does(founder.c.Appoint(w.ctx, "trustee", trustees))
	founder.finalise()
	for _, h := range w.homes[1:] {
		h.open(w.storeOf(founder))
	}
	w.side[offTrustee] = 1
	for _, h := range w.homes {
		h.begin()
		w.wg.Go(h.syncing)
	}
	for i := 1; i < offTrustee; i++ {
		w.works(i)
	}
	return w
}

// works has a trustee's node act by itself.
func (w *council) works(i int) {
	ctx, cancel := context.WithCancel(w.ctx)
	done := make(chan struct{})
	c := w.homes[i].community()
	go func() { defer close(done); c.serveAsTrustee(ctx, c.ledger) }()
	w.work[i] = func() { cancel(); <-done }
}

// restarts ends a trustee's node as by a crash, and starts it again.
func (w *council) restarts(i int) {
	w.work[i]()
	w.homes[i].restart()
	w.works(i)
}

// there are those who are not off.
func (w *council) there() []*home {
	return slices.DeleteFunc(slices.Clone(w.homes), func(h *home) bool { return h.i == offTrustee })
}

func (w *council) end() {
	for _, stop := range w.work {
		stop()
	}
	w.close()
}

func (h *home) poll(id protocol.ID) *decision.Poll {
	return h.community().Snapshot().Final.Decisions().Poll(id)
}

func (h *home) stage(id protocol.ID) committee.Stage {
	s := h.community().Snapshot().Final.Decisions()
	if p := s.Poll(id); p != nil {
		return s.Committee(p.Secret.Committee).Stage
	}
	return ""
}

// earlier are the stages up to one.
func earlier(stage committee.Stage) []committee.Stage {
	all := []committee.Stage{"", committee.Announce, committee.Commit, committee.Deal}
	return all[:slices.Index(all, stage)+1]
}

// said is what a home's device wrote as a trustee, by what it is.
func (h *home) said(as *home) map[string]int {
	out := map[string]int{}
	for _, r := range h.past() {
		if r.Header().Key != as.community().key.Public() {
			continue
		}
		switch r.Kind() {
		case protocol.Trustee:
			b, _ := protocol.Body[decision.TrusteeBody](r)
			out[string(b.Stage)]++
		case protocol.Open:
			b, _ := protocol.Body[decision.OpenBody](r)
			if len(b.Share) > 0 {
				out["share"]++
			} else {
				out["acknowledge"]++
			}
		}
	}
	return out
}

// Four trustees, one of whom is off from beginning to end, make a key and open a
// vote by themselves. Others are restarted between stages, and between their
// acknowledgement and their share. The result is that of the votes as they were
// meant; nobody says anything twice.
func TestTrusteesOpenAVote(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newCouncil(t)
		defer w.end()
		asker := w.homes[5].community()
		w.waits("all know the trustees", w.there(), func(h *home) bool {
			list, _ := decision.Trustees(h.community().Snapshot().Final.Roll())
			return len(list) == 4
		})
		ref, err := asker.Propose(w.ctx, ProposeRequest{
			Title: "Which colour?", Method: "plurality", Options: []string{"red", "green", "blue"}, ClosesIn: 10 * time.Minute, Secret: true, Trustees: 4, Least: 2,
		})
		if err != nil {
			t.Fatal(err)
		}
		id := ref.Proposal
		w.waits("the key's making begins", w.homes[1:2], func(h *home) bool { return h.stage(id) == committee.Announce })
		if _, err := asker.Vote(w.ctx, id.String(), "red"); AsError(err).Exit != ExitRefused {
			t.Error("voted before there is a key:", err)
		}
		for i, after := range []committee.Stage{committee.Announce, committee.Commit, committee.Deal} {
			w.waits("the stage is over", w.homes[i+1:i+2], func(h *home) bool { return !slices.Contains(earlier(after), h.stage(id)) })
			w.restarts(i + 1)
		}
		w.waits("it opens", w.there(), func(h *home) bool { p := h.poll(id); return p != nil && p.Phase == decision.Voting })
		for i, choice := range map[int]string{0: "red", 1: "green", 2: "blue", 3: "blue"} {
			if r, err := w.homes[i].community().Vote(w.ctx, id.String(), choice); err != nil || r.Code == "" {
				t.Fatal(r, err)
			}
		}
		if r, err := w.homes[0].community().Vote(w.ctx, id.String(), "green"); err != nil {
			t.Fatal(r, err)
		}
		w.castsPrepared(asker, id, "blue")
		w.waits("all are counted", w.there(), func(h *home) bool { return h.poll(id).Secret.Sum().Ballots() == 5 })
		w.work[3]()
		w.waits("it is closed and two acknowledge", w.there(), func(h *home) bool {
			p := h.poll(id)
			return p.Phase == decision.Closed && len(p.Secret.Acks) == 2
		})
		for _, h := range w.there() {
			tally, err := h.community().Tally(id.String())
			if err != nil || tally.Final || tally.Votes != nil || tally.Counted != 5 || tally.Secrecy.Acks != 2 || tally.Secrecy.AcksNeed != 3 || len(tally.Secrecy.Waiting) != 1 {
				t.Errorf("before it is opened: %+v, %+v, %v", tally, tally.Secrecy, err)
			}
			if p, err := h.community().Proposal(id.String()); err != nil || !p.Secret || p.Voted != "" || !p.Secrecy.Cast {
				t.Errorf("home %d: %+v, %v", h.i, p, err)
			}
		}
		w.restarts(1)
		w.works(3)
		w.waits("it is opened", w.there(), func(h *home) bool { return h.poll(id).Result != nil })
		for _, h := range w.there() {
			tally, err := h.community().Tally(id.String())
			if want := map[string]uint64{"red": 0, "green": 2, "blue": 3}; err != nil || !tally.Final || !maps.Equal(tally.Votes, want) || !slices.Equal(tally.Winners, []string{"blue"}) {
				t.Errorf("home %d: %+v, %v", h.i, tally, err)
			}
		}
		shares := 0
		for i := 1; i < offTrustee; i++ {
			said := w.homes[0].said(w.homes[i])
			shares += said["share"]
			for _, what := range []string{"announce", "commit", "deal", "confirm", "acknowledge"} {
				if said[what] != 1 {
					t.Errorf("trustee %d: %v", i, said)
				}
			}
			if said["share"] > 1 || len(w.homes[0].said(w.homes[offTrustee])) != 0 {
				t.Errorf("trustee %d: %v", i, said)
			}
		}
		if shares < 2 {
			t.Errorf("%d shares", shares)
		}
		w.keepsToOneClosing(id)
	})
}

// castsPrepared prepares a ballot, opens it in vain, and casts another.
func (w *council) castsPrepared(c *Community, id protocol.ID, choice string) {
	w.t.Helper()
	ref := id.String()
	if _, err := c.ChallengeVote(w.ctx, ref); AsError(err).Exit != ExitNotFound {
		w.t.Error("nothing is opened:", err)
	}
	first, err := c.PrepareVote(w.ctx, ref, VoteRequest{Choice: "red"})
	if err != nil {
		w.t.Fatal(err)
	}
	if got := c.Status().Unsent; len(got) != 1 || got[0].Code != first.Code {
		w.t.Errorf("not told that it is not sent: %+v", got)
	}
	if _, err := c.Receipt(ref); AsError(err).Code != "not-sent" || !strings.Contains(err.Error(), first.Code) {
		w.t.Error("not told that it is not sent:", err)
	}
	o, err := c.ChallengeVote(w.ctx, ref)
	if err != nil || o.Code != first.Code {
		w.t.Fatal(o.Code, err)
	}
	if _, err := c.Cast(w.ctx, ref, VoteRequest{Prepared: true}); AsError(err).Exit != ExitNotFound {
		w.t.Error("a ballot that was opened is cast:", err)
	}
	other := w.homes[2].community()
	if got, err := other.CheckOpening(w.ctx, o); err != nil || got.Choice != "red" || got.Cast {
		w.t.Errorf("%+v, %v", got, err)
	}
	for what, spoil := range map[string]func(o *BallotOpening){
		"opening": func(o *BallotOpening) { o.Opening[3] ^= 1 }, "ballot": func(o *BallotOpening) { o.Ballot[0] ^= 1 },
		"seq": func(o *BallotOpening) { o.Seq++ }, "voter": func(o *BallotOpening) { o.Voter[0] ^= 1 },
		"code": func(o *BallotOpening) { o.Code = first.Code[1:] + "a" }, "metastate": func(o *BallotOpening) { o.Metastate[0] ^= 1 },
		"length": func(o *BallotOpening) { o.Opening = o.Opening[1:] },
	} {
		bad := o
		bad.Opening, bad.Ballot = slices.Clone(o.Opening), slices.Clone(o.Ballot)
		spoil(&bad)
		if _, err := other.CheckOpening(w.ctx, bad); AsError(err).Exit != ExitVerify {
			w.t.Errorf("spoiled in its %s: %v", what, err)
		}
	}
	// What is written meanwhile takes places of its own, until it is final.
	if _, err := c.Say(w.ctx, ref, WordRequest{Kind: "comment", Text: "Blue is nice."}); err != nil {
		w.t.Fatal(err)
	}
	second, err := c.PrepareVote(w.ctx, ref, VoteRequest{Choice: choice})
	if err != nil || second.Code == first.Code {
		w.t.Fatal(second, err)
	}
	w.waits("the comment is final", w.homes[5:], func(h *home) bool { return len(h.community().Snapshot().Open) == 0 })
	kept, err := c.store.Private(ballotKey(id))
	if err != nil {
		w.t.Fatal(err)
	}
	r, err := c.Cast(w.ctx, ref, VoteRequest{Prepared: true})
	if err != nil || r.Code != second.Code {
		w.t.Fatal(r, err)
	}
	if keys := c.store.PrivateKeys(privBallot); len(keys) != 0 {
		w.t.Errorf("the opening of a ballot that is cast is kept: %v", keys)
	}
	// As if the node had been stopped before it was erased.
	if err := c.store.PutPrivate(ballotKey(id), kept); err != nil {
		w.t.Fatal(err)
	}
	if o, err := c.ChallengeVote(w.ctx, ref); AsError(err).Exit != ExitNotFound {
		w.t.Errorf("a ballot that is cast is opened: %+v, %v", o, err)
	}
	if keys := c.store.PrivateKeys(privBallot); len(keys) != 0 {
		w.t.Errorf("the opening of a ballot that is cast is kept: %v", keys)
	}
	if got, err := c.CheckReceipt(strings.ToUpper(second.Code)); err != nil || got.Receipt != r.Receipt {
		w.t.Errorf("by its code: %+v, %v", got, err)
	}
	if _, err := c.CheckReceipt(first.Code); AsError(err).Exit != ExitNotFound {
		w.t.Error("a ballot that was opened is there:", err)
	}
}

// keepsToOneClosing: what a trustee acknowledged holds after a restart, also for
// what asks it of another closing.
func (w *council) keepsToOneClosing(id protocol.ID) {
	w.t.Helper()
	w.work[2]()
	w.homes[2].restart()
	w.works(2)
	l := w.homes[2].community().ledger
	p := w.homes[2].poll(id)
	x := duty{committee: l.currentTip().State().Decisions().Committee(p.Secret.Committee), poll: p}
	k, err := l.trusteeSecret(x)
	if err != nil {
		w.t.Fatal(err)
	}
	if len(k.Chosen) != 1 || k.Chosen[0].Proposal != id {
		w.t.Errorf("what it acknowledged is not on its disk: %+v", k.Chosen)
	}
	if err := l.choose(k, x.committee.ID, id, p.Sealed().Set); err != nil {
		w.t.Error("the closing that it acknowledged:", err)
	}
	if err := l.choose(k, x.committee.ID, id, [32]byte{1}); !errors.Is(err, errOtherClosing) {
		w.t.Error("another closing of the same vote:", err)
	}
}

// A trustee whose deal has a bad share for another is found out: the other's node
// complains, the deal is struck out, and the key is made without it. The dealer's
// node goes on.
func TestTrusteeDealsBadly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newCouncil(t)
		defer w.end()
		w.waits("all know the trustees", w.there(), func(h *home) bool {
			list, _ := decision.Trustees(h.community().Snapshot().Final.Roll())
			return len(list) == 4
		})
		ref, err := w.homes[0].community().Propose(w.ctx, ProposeRequest{Title: "Shall we?", ClosesIn: time.Hour, Secret: true})
		if err != nil {
			t.Fatal(err)
		}
		id, bad := ref.Proposal, w.homes[3]
		w.waits("they commit", []*home{bad}, func(h *home) bool { return h.stage(id) == committee.Commit })
		c, l := bad.community(), bad.community().ledger
		c.trusteeTurn(l)
		w.work[3]()
		w.waits("they deal", []*home{bad}, func(h *home) bool { return h.stage(id) == committee.Deal })
		k := l.currentTip().State().Decisions().Committee(bad.poll(id).Secret.Committee)
		x := duty{committee: k, number: k.Number(c.Persona()), stage: k.Stage}
		mine, err := l.trusteeSecret(x)
		if err != nil {
			t.Fatal(err)
		}
		says, err := mine.says(x)
		if err != nil {
			t.Fatal(err)
		}
		victim := k.Number(w.homes[1].community().Persona())
		message := says[0].Message // the boxes are 48 bytes each
		message[strings.Index(string(message), "shares")+len("shares")+3+48*(victim-1)+20] ^= 1
		if err := c.writeAsTrustee(l, protocol.Trustee, says[0], func(*state.State) bool { return true }); err != nil {
			t.Fatal(err)
		}
		w.works(3)
		w.waits("the key is made", w.there(), func(h *home) bool { return h.stage(id) == committee.Ready })
		k = w.homes[0].community().Snapshot().Final.Decisions().Committee(k.ID)
		if dealer := k.Trustees[x.number-1]; !dealer.Bad || dealer.Guilty.IsZero() || k.Trustees[victim-1].Guilty != (protocol.ID{}) {
			t.Errorf("%+v", k.Trustees)
		}
		if said := w.homes[0].said(w.homes[1]); said["complain"] != 1 || said["confirm"] != 1 {
			t.Errorf("the victim wrote %v", said)
		}
	})
}

// Trustees' nodes that are at rest are woken by what is asked of them, and the vote
// is opened while nobody looks.
func TestTrusteesAtRest(t *testing.T) {
	anna := mustOpen(t, drowsy(newFolder(t)))
	x := mustFound(t, anna, "Xylophones", "")
	all := []*Community{x}
	for range 3 {
		all = append(all, mustJoin(t, mustOpen(t, drowsy(newFolder(t))), x, ""))
	}
	var trustees []protocol.ID
	for _, c := range all {
		trustees = append(trustees, c.Persona())
	}
	if _, err := x.Appoint(t.Context(), "trustee", trustees); err != nil {
		t.Fatal(err)
	}
	eventually(t, "they are in office", func() bool { s, err := all[3].TrusteeStatus(); return err == nil && s.Office && s.Trustees == 4 })
	asleep := func(list []*Community) func() bool {
		return func() bool { return !slices.ContainsFunc(list, func(c *Community) bool { return !c.sleeps() }) }
	}
	eventually(t, "all are at rest", asleep(all))
	ref, err := all[1].Propose(t.Context(), ProposeRequest{Title: "Wake up", ClosesIn: 4 * time.Second, Secret: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range all {
		eventually(t, "everybody votes", func() bool { _, err := c.Vote(t.Context(), ref.Proposal.String(), "yes"); return err == nil })
	}
	eventually(t, "it is closed, and opened", func() bool {
		tally, err := x.Tally(ref.Proposal.String())
		return err == nil && tally.Final && tally.Votes["yes"] == 4
	})
	eventually(t, "all are at rest again", asleep(all))
}
