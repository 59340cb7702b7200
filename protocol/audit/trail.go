package audit

import (
	"cmp"
	"fmt"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/certificate"
	"github.com/metastate-p2p/metastate/protocol/charter"
	"github.com/metastate-p2p/metastate/protocol/checkpoint"
	"github.com/metastate-p2p/metastate/protocol/decision"
	"github.com/metastate-p2p/metastate/protocol/decision/secret"
	"github.com/metastate-p2p/metastate/protocol/state"
)

// A trail is what concerns one vote, gathered while the history is recomputed. From
// it the vote is judged on a way of its own.
type trail struct {
	proposal protocol.ID
	each     func(n int, do func(i int))

	said    map[protocol.ID][]*protocol.Record // what trustees said that stood, by committee
	put     *state.State                       // before its trustees were called
	eve     *state.State                       // before the vote opened
	opening *state.State                       // after it opened
	cast    []cast                             // ballots, in the order covered
	covered map[protocol.ID]bool               // the same, by id
	closing *closing
	opens   []opens
	reveal  charter.Class  // the decision's class when the sum was opened
	poll    *decision.Poll // as of the last checkpoint
	lost    []protocol.ID  // records of the vote that checkpoints cover and the history lacks
	left    uint64         // ballots that no checkpoint covers

	// What steps leave to those after them.

	votes    []*cast        // that count, by rising voter
	own      *decision.Poll // see mine
	election *secret.Election
	sum      secret.Aggregate
	shares   []*secret.Share
}

// A cast is a ballot that a checkpoint covers.
type cast struct {
	record  *protocol.Record
	verdict protocol.Verdict
	voter   protocol.ID
	by      protocol.ID // the officer who cast it for the voter, else zero
	height  uint64      // of the checkpoint
	base    int64       // time of the checkpoint before
}

func (c *cast) compare(d *cast) int {
	return cmp.Or(cmp.Compare(c.height, d.height), c.voter.Compare(d.voter), c.by.Compare(d.by),
		cmp.Compare(c.record.Header().Seq, d.record.Header().Seq))
}

// A closing is the checkpoint that ended the vote.
type closing struct {
	ref     protocol.Ref // as certified
	claimed certificate.Closing
	has     bool // the certified value has it
	poll    *decision.Poll
	class   charter.Class
	names   map[string]string // see Report
}

// candidates are what those of an election are called, by their ids as text.
func candidates(s *state.State, poll *decision.Poll) map[string]string {
	if poll.Body.Act == nil || poll.Body.Act.Kind != decision.Elect {
		return nil
	}
	names := map[string]string{}
	call := func(option string) {
		if id, err := protocol.ParseID(option); err == nil {
			if m := s.Roll().Member(id); m != nil && m.Name != "" {
				names[option] = m.Name
			}
		}
	}
	for _, o := range poll.Options {
		call(o)
	}
	for _, list := range poll.Body.Params.Lists {
		for _, x := range list {
			call(x.Name)
		}
	}
	return names
}

// An opens is what a trustee said of the closed vote.
type opens struct {
	record  *protocol.Record
	verdict protocol.Verdict
	set     []byte // that is acknowledged
	share   []byte // nil: an acknowledgement
}

func newTrail(c Config) *trail {
	return &trail{proposal: c.Proposal, each: c.Each, said: map[protocol.ID][]*protocol.Record{}, covered: map[protocol.ID]bool{}}
}

func closingOf(v certificate.Value, proposal protocol.ID) (c certificate.Closing, ok bool) {
	for _, x := range v.Closings {
		if x.Poll == proposal {
			return x, true
		}
	}
	return c, false
}

// follow takes from a checkpoint what concerns the vote: next is what the records
// lead to from base, c what was certified.
func (t *trail) follow(base *state.State, next checkpoint.Next, c *claim, records []*protocol.Record) {
	after := next.Tip.State()
	t.listen(base, next, records)
	was, poll := base.Decisions().Poll(t.proposal), after.Decisions().Poll(t.proposal)
	if poll == nil {
		return
	}
	t.poll = poll
	if was == nil || was.Secret == nil || poll.Secret != nil && was.Secret.Committee != poll.Secret.Committee {
		t.put = base
	}
	if poll.RecordDate == after.Height() {
		t.eve, t.opening = base, after
	}
	for _, id := range after.Decisions().JustClosed() {
		if id == t.proposal {
			x := &closing{ref: protocol.Ref{Height: c.value.Height, ID: c.cert.ID()}, poll: poll, names: candidates(after, poll)}
			x.claimed, x.has = closingOf(c.value, t.proposal)
			x.class, _ = base.Charter().Class(poll.Body.Class)
			t.closing = x
		}
	}
	if was != nil && was.Phase == decision.Closed && was.Result == nil && poll.Result != nil {
		t.reveal, _ = base.Charter().Class(poll.Body.Class)
	}
}

// listen keeps the records that concern the vote, with what became of them.
func (t *trail) listen(base *state.State, next checkpoint.Next, records []*protocol.Record) {
	kept := map[protocol.ID]*protocol.Record{}
	for _, r := range records {
		switch r.Kind() {
		case protocol.Trustee, protocol.Open:
			kept[r.ID()] = r
		case protocol.Ballot:
			if r.Header().Subject == t.proposal {
				kept[r.ID()] = r
			}
		}
	}
	if len(kept) == 0 {
		return
	}
	for _, v := range next.Verdicts {
		r := kept[v.Record]
		if r == nil {
			continue
		}
		switch r.Kind() {
		case protocol.Trustee:
			if body, err := protocol.Body[decision.TrusteeBody](r); err == nil && v.Stands {
				t.said[body.Committee] = append(t.said[body.Committee], r)
			}
		case protocol.Open:
			if body, err := protocol.Body[decision.OpenBody](r); err == nil && body.Proposal == t.proposal {
				t.opens = append(t.opens, opens{r, v, body.Set, body.Share})
			}
		default:
			c := cast{record: r, verdict: v, voter: r.Author(), height: next.Value.Height, base: base.AsOf()}
			if body, err := protocol.Body[decision.BallotBody](r); err == nil && !body.For.IsZero() {
				c.voter, c.by = body.For, r.Author()
			}
			t.cast, t.covered[r.ID()] = append(t.cast, c), true
		}
	}
}

// notOver says why there is nothing to audit in a history that is sound.
func (t *trail) notOver() error {
	switch {
	case t.poll == nil:
		return fmt.Errorf("audit: %w: %s", ErrNoProposal, t.proposal)
	case t.poll.Phase == decision.Withdrawn || t.poll.Phase == decision.Rejected:
		return fmt.Errorf("audit: %w", ErrNoVote)
	case t.poll.Phase == decision.Closed:
		return fmt.Errorf("audit: %w: it is closed, and waits for its trustees to open it", ErrNotOver)
	}
	return fmt.Errorf("audit: %w: it is in the phase %s", ErrNotOver, t.poll.Phase)
}

// judge takes the steps of the vote. What the history does not go far enough for
// is not judged, and does not pass.
func (t *trail) judge(out *Report) (steps []Step) {
	out.Cast, out.Refused = uint64(len(t.cast)), map[protocol.Rule]uint64{}
	steps = append(steps, t.roll())
	isSecret := t.poll != nil && t.poll.IsSecret()
	if isSecret {
		steps = append(steps, t.keys())
	}
	steps = append(steps, t.ballots(out.Refused), t.seal())
	if isSecret && !t.tooFew() {
		steps = append(steps, t.aggregate(), t.opened())
	}
	last, result := t.result()
	out.Result = result
	if t.closing != nil {
		out.Names = t.closing.names
	}
	return append(steps, last)
}

// tooFew reports whether a secret vote ended with fewer ballots than are opened.
func (t *trail) tooFew() bool {
	return t.closing != nil && t.closing.poll.Phase == decision.Rejected
}

func unjudged(name, why string) Step {
	return Step{Name: name, Detail: "Not checked: " + why + "."}
}

const (
	noOpening = "the history breaks off before the vote opens"
	noClosing = "the history breaks off before the vote is closed"
	noKeys    = "the trustees' key could not be made"
	noVotes   = "which ballots count is not known"
	noSum     = "the sum of the ballots is not known"
)
