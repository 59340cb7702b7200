package decision

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/charter"
	"github.com/metastate-p2p/metastate/protocol/dagcbor"
	"github.com/metastate-p2p/metastate/protocol/decision/committee"
	"github.com/metastate-p2p/metastate/protocol/decision/count"
	"github.com/metastate-p2p/metastate/protocol/decision/secret"
)

// Secrecy is what a secret vote has besides. It is immutable.
type Secrecy struct {
	Committee protocol.ID   `cbor:"committee"`
	Roll      []byte        `cbor:"roll,omitempty"`   // root of the members when the vote opened
	Height    uint64        `cbor:"height,omitempty"` // of the closing checkpoint
	Acks      []uint64      `cbor:"acks,omitempty"`   // trustees who opens this closing and no other, rising
	Shares    []OpenedShare `cbor:"shares,omitempty"` // by rising trustee
	Wrong     []protocol.ID `cbor:"wrong,omitempty"`  // records of shares that do not hold

	election *secret.Election
	sum      secret.Aggregate
}

// An OpenedShare is a trustee's share of the sum, which holds.
type OpenedShare struct {
	Trustee uint64 `cbor:"n"`
	Share   []byte `cbor:"s"`
}

// Election is the vote as package secret has it, nil before the vote opens.
func (s *Secrecy) Election() *secret.Election { return s.election }

// Sum is the sum of the ballots that count, once the vote is open.
func (s *Secrecy) Sum() secret.Aggregate { return s.sum }

// checkSecret refuses a secret vote that could not be held.
func (b ProposeBody) checkSecret(options []string) error {
	if b.Secret.Least < 1 || b.Secret.Least > secret.MaxTotal {
		return errors.New("decision: a secret vote is opened from at least one ballot on")
	}
	shape, err := SecretShape(b.Method, b.Params)
	if err != nil {
		return err
	}
	if err := shape.Check(len(options)); err != nil {
		return fmt.Errorf("decision: %w", err)
	}
	return nil
}

// IsSecret reports whether the vote is secret.
func (p *Poll) IsSecret() bool { return p.Body.Secret != SecretBody{} }

// Closing is what the closing checkpoint says of a vote: the digest of the ballots
// that count, how many they are, and the id of the result, or of the sum of a
// secret vote that is to be opened.
func (p *Poll) Closing() (ballots [32]byte, n uint64, result protocol.ID) {
	if p.Result != nil {
		return p.Result.Ballots, p.Result.Counted, p.Result.ID()
	}
	return p.ballotsRoot(), p.Secret.sum.Ballots(), p.Secret.sum.Digest()
}

// Sealed is what trustees open: the sum of the ballots, bound to their set and the
// checkpoint that closed it.
func (p *Poll) Sealed() secret.Sealed {
	root := p.ballotsRoot()
	set := protocol.Sum(slices.Concat([]byte("metastate/sealed/1"), p.Proposal[:], binary.BigEndian.AppendUint64(nil, p.Secret.Height), root[:]))
	return secret.Sealed{Set: set, Sum: p.Secret.sum}
}

// holders are who can be trustees: the holders of the office, by rising persona,
// and the id of the committee that they are. They are found once in a step.
func (f *fold) holders() (personas []protocol.ID, id protocol.ID) {
	if f.trustees != nil {
		return f.trustees, f.trusteesID
	}
	type holder struct {
		Persona protocol.ID `cbor:"p"`
		Record  protocol.ID `cbor:"r"`
	}
	var list []holder
	f.trustees = []protocol.ID{}
	for m := range f.BaseRoll.Base.Members() {
		for _, h := range m.Offices() {
			if h.Office == charter.OfficeTrustee && !h.Over && m.Voice() {
				list = append(list, holder{m.Persona, h.Record})
				f.trustees = append(f.trustees, m.Persona)
			}
		}
	}
	f.trusteesID = protocol.Sum(append([]byte("metastate/committee/1"), dagcbor.Encode(list)...))
	return f.trustees, f.trusteesID
}

// patience is how long a committee waits in each stage for who is away: a tenth of
// the vote that it is called for, at least 5 s and at most 6 h.
func patience(voting int64) int64 { return min(max(voting/10, 5), 6*3600) }

// mayBeSecret requires trustees for a secret vote.
func (f *fold) mayBeSecret(b ProposeBody) error {
	if b.Secret == (SecretBody{}) {
		return nil
	}
	personas, id := f.holders()
	if c, ok := f.s.committees.Get(id); ok && c.Stage == committee.Failed {
		return errors.New("the trustees in office could not make a key: others are needed")
	}
	if _, err := committee.New(id, personas, 0); err != nil {
		return fmt.Errorf("a secret vote needs 4, 7, 10, … trustees in office, and there are %d", len(personas))
	}
	return nil
}

// call calls the committee of the trustees in office for a secret vote.
func (f *fold) call(p *Poll) {
	personas, id := f.holders()
	p.Secret = &Secrecy{Committee: id}
	if f.s.committees.Has(id) {
		return
	}
	if c, err := committee.New(id, personas, patience(p.Body.Voting)); err == nil {
		f.s = f.s.putCommittee(c)
	}
}

func (s State) putCommittee(c *committee.Committee) State {
	var was int64
	if old, ok := s.committees.Get(c.ID); ok {
		was = old.Until
	}
	s.timers = s.timers.Move(c.ID, was, c.Until)
	s.committees = s.committees.Put(c.ID, c)
	return s
}

// Committee is one of trustees, nil if there is none of that id.
func (s State) Committee(id protocol.ID) *committee.Committee {
	c, _ := s.committees.Get(id)
	return c
}

// trustee judges what a trustee says while the key is made.
func (f *fold) trustee(r *protocol.Record) protocol.Verdict {
	body, err := protocol.Body[TrusteeBody](r)
	if err != nil {
		return malformed(r)
	}
	base, ok := f.Base.committees.Get(body.Committee)
	if !ok {
		return protocol.Void(r, RulePhase, "There is no such committee.")
	}
	if !f.speaks(r) {
		return protocol.Void(r, RulePower, "The device may not sign for this persona.")
	}
	c, err := f.s.Committee(body.Committee).Apply(base, committee.Message{
		Record: r.ID(), Persona: r.Author(), Device: r.Header().Key, Stage: body.Stage, Body: body.Message,
	})
	if err != nil {
		return protocol.Void(r, RuleTrustee, "It does not count: "+err.Error()+".")
	}
	f.s = f.s.putCommittee(c)
	return protocol.Stand(r, RuleTrustee, "What a trustee says while the committee makes its key.")
}

// speaks reports whether a record is by a live device of its author's, whatever
// their standing: who has a share keeps it.
func (f *fold) speaks(r *protocol.Record) bool {
	h := r.Header()
	d := f.BaseRoll.Base.Device(h.Key)
	return d != nil && d.Persona == h.Persona && d.Live(f.BaseRoll.AsOf)
}

// tick ends the stages of committees that are over, and lets the votes go on that
// wait for a key: they open, or end for want of one.
func (f *fold) tick() {
	for id, c := range f.s.committees.All() {
		if c.Stage == committee.Ready || c.Stage == committee.Failed {
			continue
		}
		next := c.Tick(f.Step.AsOf)
		if next == c {
			continue
		}
		f.s = f.s.putCommittee(next)
		if next.Stage != committee.Ready && next.Stage != committee.Failed {
			continue
		}
		for p := range f.s.Polls() {
			if p.Phase == Frozen && p.Next == 0 && p.Secret != nil && p.Secret.Committee == id {
				q := *p
				q.Next = f.Step.AsOf
				f.s = f.s.put(&q)
			}
		}
	}
}

// keyed is how far the key is without which a vote can't open: Ready, also of one
// that is not secret.
func (f *fold) keyed(p *Poll) committee.Stage {
	if p.Secret == nil {
		return committee.Ready
	}
	return f.s.Committee(p.Secret.Committee).Stage
}

// begin makes the election of a secret vote that opens.
func (p *Poll) begin(c *committee.Committee, members [32]byte) error {
	s := *p.Secret
	s.Roll = members[:]
	if err := s.elect(p, c); err != nil {
		return err
	}
	p.Secret = &s
	return nil
}

func (s *Secrecy) elect(p *Poll, c *committee.Committee) error {
	shape, err := SecretShape(p.Body.Method, p.Body.Params)
	if err != nil {
		return err
	}
	s.election, err = secret.NewElection(secret.Terms{
		Keys: c.Keys(), Roll: [32]byte(s.Roll), Question: p.Proposal, Method: p.Body.Method, Params: dagcbor.Encode(p.Body.Params),
		Options: p.Options, Shape: shape, Opens: uint64(p.Opened), Closes: uint64(p.Opened + p.Body.Voting), Least: p.Body.Secret.Least,
	})
	if err != nil {
		return err
	}
	s.sum = s.election.Empty()
	return nil
}

// CheckBallot reports whether a secret ballot proves that it is one. It is the same
// for ever, costs about a millisecond, and is found out once for each record: who
// calls it in time, on any goroutine, has the state not wait for it.
func (p *Poll) CheckBallot(r *protocol.Record) bool {
	if p.Secret == nil || p.Secret.election == nil {
		return false
	}
	id := p.Secret.election.ID()
	if known, ok := r.Recall(id).(bool); ok {
		return known
	}
	body, err := protocol.Body[BallotBody](r)
	if err == nil {
		_, err = p.Secret.election.Verify(secret.Voter{ID: r.Author(), Seq: r.Header().Seq}, body.Ballot)
	}
	r.Remember(id, err == nil)
	return err == nil
}

// replace puts a voter's ciphertexts in the place of those before, in the sum.
func (s *Secrecy) replace(was, now []byte) (*Secrecy, error) {
	next := *s
	for _, x := range []struct {
		ciphertexts []byte
		change      func(secret.Aggregate, *secret.Ballot, uint64) (secret.Aggregate, error)
	}{{was, s.election.Minus}, {now, s.election.Plus}} {
		if x.ciphertexts == nil {
			continue
		}
		b, err := s.election.Recall(x.ciphertexts)
		if err == nil {
			next.sum, err = x.change(next.sum, b, 1)
		}
		if err != nil {
			return s, err
		}
	}
	return &next, nil
}

// seal closes a secret vote. With too few ballots it is not opened.
func (f *fold) seal(p *Poll) {
	s := *p.Secret
	s.Height = f.Step.Height
	p.Secret, p.Phase, p.Next = &s, Closed, 0
	if s.sum.Ballots() < p.Body.Secret.Least {
		p.Phase = Rejected
		p.Result = &Result{
			Result: count.Result{Outcome: count.Rejected, Votes: none(p.Options), Rounds: []count.Round{
				count.Say("%s: fewer than the %d from which on the sum is opened. Nobody knows what they say.", number(s.sum.Ballots(), "ballot"), p.Body.Secret.Least),
			}},
			Counted: s.sum.Ballots(), Height: f.Step.Height, Ballots: p.Ballots.Root(),
		}
	}
}

func none(options []string) []count.Option {
	out := make([]count.Option, len(options))
	for i, o := range options {
		out[i].Name = o
	}
	return out
}

// openSum judges what a trustee says once a secret vote is closed.
func (f *fold) openSum(r *protocol.Record) protocol.Verdict {
	body, err := protocol.Body[OpenBody](r)
	if err != nil {
		return malformed(r)
	}
	base := f.Base.Poll(body.Proposal)
	if base == nil || base.Phase != Closed {
		return protocol.Void(r, RulePhase, "It is no secret vote that waits to be opened.")
	}
	c := f.s.Committee(base.Secret.Committee)
	n := c.Number(r.Author())
	if n == 0 || c.Trustees[n-1].Device != r.Header().Key || !f.speaks(r) {
		return protocol.Void(r, RulePower, "It is not by a trustee of this vote, from the device of theirs that has the share.")
	}
	p := *f.s.Poll(body.Proposal)
	if len(body.Share) == 0 {
		return f.acknowledge(r, &p, uint64(n))
	}
	return f.share(r, base, &p, n, body.Share)
}

func (f *fold) acknowledge(r *protocol.Record, p *Poll, n uint64) protocol.Verdict {
	if r.Header().Checkpoint.Height < p.Secret.Height {
		return protocol.Void(r, RulePhase, "The trustee did not know the closing yet.")
	}
	if i, has := slices.BinarySearch(p.Secret.Acks, n); !has {
		s := *p.Secret
		s.Acks = slices.Insert(slices.Clone(s.Acks), i, n)
		p.Secret = &s
		f.s = f.s.put(p)
	}
	return protocol.Stand(r, RuleAck, "A trustee opens this closing, and no other.")
}

func (f *fold) share(r *protocol.Record, base, p *Poll, n int, share []byte) protocol.Verdict {
	if len(base.Secret.Acks) < f.s.Committee(p.Secret.Committee).Kind().Q() {
		return protocol.Void(r, RulePhase, "Too few trustees have acknowledged the closing.")
	}
	s := *p.Secret
	if _, err := s.election.VerifyShare(n, base.Sealed(), share); err != nil {
		s.Wrong = append(slices.Clone(s.Wrong), r.ID())
		slices.SortFunc(s.Wrong, protocol.ID.Compare)
		s.Wrong = slices.Compact(s.Wrong)
		if len(s.Wrong) <= maxWrong {
			p.Secret = &s
			f.s = f.s.put(p)
		}
		return protocol.Void(r, RuleBadShare, "The trustee's share is not what the key makes of the sum.")
	}
	i, has := slices.BinarySearchFunc(s.Shares, uint64(n), func(x OpenedShare, n uint64) int { return int(x.Trustee) - int(n) })
	if !has {
		s.Shares = slices.Insert(slices.Clone(s.Shares), i, OpenedShare{uint64(n), share})
		p.Secret = &s
		f.s = f.s.put(p)
	}
	return protocol.Stand(r, RuleShare, "A trustee's share of the sum, which holds.")
}

// maxWrong bounds what is kept of trustees who lie.
const maxWrong = 31

// unsealAll opens the votes for which this step brought enough shares.
func (f *fold) unsealAll() {
	for _, r := range f.Records {
		if r.Kind() != protocol.Open {
			continue
		}
		body, err := protocol.Body[OpenBody](r)
		if err != nil {
			continue
		}
		p := f.s.Poll(body.Proposal)
		if p == nil || p.Phase != Closed || len(p.Secret.Shares) < f.s.Committee(p.Secret.Committee).Kind().K() {
			continue
		}
		q := *p
		if err := f.reveal(&q); err != nil {
			panic("decision: opening a sum: " + err.Error()) // each share holds, and the sum is of ballots that hold
		}
		f.s = f.s.put(&q)
	}
}

func (f *fold) reveal(p *Poll) error {
	sealed := p.Sealed()
	var shares []*secret.Share
	for _, x := range p.Secret.Shares {
		share, err := p.Secret.election.VerifyShare(int(x.Trustee), sealed, x.Share)
		if err != nil {
			return err
		}
		shares = append(shares, share)
	}
	opened, err := p.Secret.election.Result(sealed, shares)
	if err != nil {
		return err
	}
	class := f.periods(p)
	q := p.Body.question(p.Options)
	q.Electorate, q.Cast, q.Rule = p.Electorate, opened.Ballots, Rule(class)
	if p.Body.Tie != TieListed {
		q.Order = p.lot(sealed.Set)
	}
	out := &Result{Counted: opened.Ballots, Height: p.Secret.Height, Ballots: p.ballotsRoot()}
	if out.Result, err = CountOpened(p.Body.Method, q, opened); err != nil {
		return err
	}
	out.explain(p)
	p.Result = out
	p.because(RuleOpened, p.Proposal)
	p.Phase, p.Next = Rejected, 0
	if out.Outcome != count.Rejected {
		p.Phase, p.Next = Contest, f.Step.AsOf+class.Contest
	}
	return nil
}
