package audit

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/charter"
	"github.com/metastate-p2p/metastate/protocol/dagcbor"
	"github.com/metastate-p2p/metastate/protocol/decision"
	"github.com/metastate-p2p/metastate/protocol/decision/committee"
	"github.com/metastate-p2p/metastate/protocol/decision/secret"
	"github.com/metastate-p2p/metastate/protocol/decision/secret/keygen"
	"github.com/metastate-p2p/metastate/protocol/roll"
	"github.com/metastate-p2p/metastate/protocol/state"
)

// A making is a committee's key as its messages make it.
type making struct {
	c         *committee.Committee
	kind      keygen.Committee
	announced []keygen.Announcement
	committed map[int]keygen.Commitment
	deals     map[int]*keygen.Deal
	struck    []int // dealers whose deal a complaint struck out
	false     []int // who complained of nothing
	roster    *keygen.Roster
}

// keys puts the key of the vote together from what its trustees said.
func (t *trail) keys() Step {
	if t.opening == nil {
		return unjudged(Keys, noOpening)
	}
	p := t.opening.Decisions().Poll(t.proposal)
	c := t.opening.Decisions().Committee(p.Secret.Committee)
	if id, personas := trusteesOf(t.put); id != c.ID || !slices.EqualFunc(personas, c.Trustees, func(a protocol.ID, b committee.Trustee) bool { return a == b.Persona }) {
		return fail(Keys, c.ID, "The committee is not of those who held the office of trustee when it was called.")
	}
	m := &making{
		c: c, kind: c.Kind(), announced: make([]keygen.Announcement, len(c.Trustees)),
		committed: map[int]keygen.Commitment{}, deals: map[int]*keygen.Deal{},
	}
	for _, stage := range []committee.Stage{committee.Announce, committee.Commit, committee.Deal, committee.Complain} {
		if id, err := m.take(t.said[c.ID], stage); err != nil {
			return fail(Keys, id, "Message %s of a trustee (stage %s) does not hold: %s.", id, stage, because(err))
		}
	}
	var good []*keygen.Deal
	for n, d := range m.deals {
		if !slices.Contains(m.struck, n) {
			good = append(good, d)
		}
	}
	keys, err := keygen.NewKeys(m.roster, good)
	if err != nil {
		return fail(Keys, c.ID, "The trustees' messages make no key: %s.", because(err))
	}
	if err := t.elect(p, keys); err != nil {
		return fail(Keys, t.proposal, "The vote can't be held by these keys: %s.", because(err))
	}
	if t.election.ID() != p.Secret.Election().ID() {
		t.election = nil
		return fail(Keys, c.ID, "The trustees' messages make another key than ballots were encrypted under.")
	}
	public := keys.Public().Bytes()
	text := fmt.Sprintf("%d deals of %d trustees make the key %x: any %d open the sum, %d agree which.", len(good), len(c.Trustees), public, keys.K(), keys.Q())
	if len(m.struck) > 0 {
		text += fmt.Sprintf(" Struck out by complaints: the deals of %s.", numbers(m.struck))
	}
	if len(m.false) > 0 {
		text += fmt.Sprintf(" Convicted of a false complaint: %s.", numbers(m.false))
	}
	return pass(Keys, "%s", text)
}

// trusteesOf are who are trustees of a vote whose committee is called in a state, by
// rising persona, with the id of the committee that they are (SPEC §8.6 rule 2). It
// says again what decision.Trustees does, and take and hear what package committee
// does: an audit that called these would find their mistakes right.
func trusteesOf(s *state.State) (id protocol.ID, personas []protocol.ID) {
	type holder struct {
		Persona protocol.ID `cbor:"p"`
		Record  protocol.ID `cbor:"r"`
	}
	var list []holder
	for m := range s.Roll().Members() {
		i := slices.IndexFunc(m.Offices(), func(h roll.Holding) bool { return h.Office == charter.OfficeTrustee && !h.Over })
		if i >= 0 && m.Voice() {
			list = append(list, holder{m.Persona, m.Offices()[i].Record})
			personas = append(personas, m.Persona)
		}
	}
	return protocol.Sum(append([]byte("metastate/committee/1"), dagcbor.Encode(list)...)), personas
}

// take takes the messages of one stage, and names the record that does not hold.
func (m *making) take(said []*protocol.Record, stage committee.Stage) (protocol.ID, error) {
	for _, r := range said {
		body, err := protocol.Body[decision.TrusteeBody](r)
		if err != nil {
			return r.ID(), err
		}
		if body.Stage != stage {
			continue
		}
		n := m.c.Number(r.Author())
		if n == 0 {
			return r.ID(), committee.ErrNotTrustee
		}
		if err := m.hear(n, stage, body.Message); err != nil {
			return r.ID(), err
		}
	}
	if stage != committee.Announce {
		return protocol.ID{}, nil
	}
	var err error
	m.roster, err = keygen.NewRoster(m.kind, m.announced)
	return m.c.ID, err
}

// hear takes the message of trustee n in a stage.
func (m *making) hear(n int, stage committee.Stage, message []byte) (err error) {
	switch stage {
	case committee.Announce:
		if m.announced[n-1], err = keygen.ParseAnnouncement(message); err == nil {
			err = m.announced[n-1].Check(m.kind, n)
		}
	case committee.Commit:
		m.committed[n], err = keygen.ParseCommitment(message)
	case committee.Deal:
		m.deals[n], err = keygen.ParseDeal(m.roster, n, m.committed[n], message)
	case committee.Complain:
		x, bad := keygen.ParseComplaint(message)
		if bad != nil || m.deals[x.Dealer()] == nil {
			return errors.New("it complains of no deal")
		}
		verdict, bad := m.deals[x.Dealer()].Judge(n, x)
		switch {
		case bad != nil:
			return bad
		case verdict == keygen.DealerGuilty:
			m.struck = append(m.struck, x.Dealer())
		default:
			m.false = append(m.false, n)
		}
	}
	return err
}

func numbers(list []int) string {
	words := make([]string, len(list))
	for i, n := range list {
		words[i] = fmt.Sprintf("trustee %d", n)
	}
	return strings.Join(words, ", ")
}

// elect makes the election from its terms (SPEC §8.6 rule 4) and the keys that were
// put together here. That it has the id of the one that ballots were made for is
// what binds the two.
func (t *trail) elect(p *decision.Poll, keys *keygen.Keys) error {
	shape, err := decision.SecretShape(p.Body.Method, p.Body.Params)
	if err != nil {
		return err
	}
	t.election, err = secret.NewElection(secret.Terms{
		Keys: keys, Roll: [32]byte(p.Secret.Roll), Question: p.Proposal, Method: p.Body.Method, Params: dagcbor.Encode(p.Body.Params),
		Options: p.Options, Shape: shape, Opens: uint64(p.Opened), Closes: uint64(p.Opened + p.Body.Voting), Least: p.Body.Secret.Least,
	})
	return err
}

// aggregate sums the ballots up from nothing.
func (t *trail) aggregate() Step {
	switch {
	case t.closing == nil:
		return unjudged(Aggregate, noClosing)
	case t.votes == nil:
		return unjudged(Aggregate, noVotes)
	case t.election == nil:
		return unjudged(Aggregate, noKeys)
	}
	list, errs := make([]*secret.Ballot, len(t.votes)), make([]error, len(t.votes))
	t.each(len(t.votes), func(i int) {
		body, err := protocol.Body[decision.BallotBody](t.votes[i].record)
		if err == nil {
			list[i], err = t.election.Decode(body.Ballot)
		}
		errs[i] = err
	})
	sum := t.election.Empty()
	for i, b := range list {
		err := errs[i]
		if err == nil {
			sum, err = t.election.Plus(sum, b, 1)
		}
		if err != nil {
			id := t.votes[i].record.ID()
			return fail(Aggregate, id, "Ballot %s can't be summed up: %s.", id, because(err))
		}
	}
	if d := sum.Digest(); t.closing.has && protocol.ID(d) != t.closing.claimed.Result {
		return fail(Aggregate, t.closing.ref.ID, "Checkpoint %d seals a sum with the digest %x; that of the ballots has %x.",
			t.closing.ref.Height, t.closing.claimed.Result, d)
	}
	if sum.Digest() != t.closing.poll.Secret.Sum().Digest() {
		return fail(Aggregate, t.proposal, "The ballots' sum from nothing is another than the running one that trustees opened.")
	}
	t.sum = sum
	return pass(Aggregate, "The sum of the %s, taken from nothing, is the one that was sealed (digest %x).", number(sum.Ballots(), "ballot"), sum.Digest())
}

// opened checks what trustees said of the closed vote, and their shares.
func (t *trail) opened() Step {
	switch {
	case t.closing == nil:
		return unjudged(Shares, noClosing)
	case t.sum.Ballots() == 0:
		return unjudged(Shares, noSum)
	}
	c := t.opening.Decisions().Committee(t.closing.poll.Secret.Committee)
	sealed := secret.Sealed{Set: t.mine().Sealed().Set, Sum: t.sum}
	acks, given, wrong := map[int]bool{}, map[int]bool{}, []string{}
	var shares []*secret.Share // the audit's only once all are looked at
	for _, o := range t.opens {
		n, id := c.Number(o.record.Author()), o.record.ID()
		if o.share == nil {
			if o.verdict.Stands && bytes.Equal(o.set, sealed.Set[:]) {
				acks[n] = true
			}
			continue
		}
		if !o.verdict.Stands && o.verdict.Rule != decision.RuleBadShare {
			continue // too early, or by nobody who may
		}
		share, err := t.election.VerifyShare(n, sealed, o.share)
		switch {
		case err != nil && o.verdict.Stands:
			return fail(Shares, id, "Share %s of trustee %d (%s) was taken, and does not hold: %s.", id, n, o.record.Author(), because(err))
		case err == nil && !o.verdict.Stands:
			return fail(Shares, id, "Share %s of trustee %d (%s) was refused, and holds.", id, n, o.record.Author())
		case err != nil:
			wrong = append(wrong, fmt.Sprintf("trustee %d, %q (persona %s, record %s)", n, t.opening.Roll().Member(o.record.Author()).Name, o.record.Author(), id))
		case !given[n]:
			given[n] = true
			shares = append(shares, share)
		}
	}
	switch {
	case len(acks) < c.Kind().Q():
		return fail(Shares, t.proposal, "%d trustees acknowledged the closing, and %d must.", len(acks), c.Kind().Q())
	case len(shares) < c.Kind().K():
		return unjudged(Shares, fmt.Sprintf("the history has good shares of %d trustees, and it takes %d", len(shares), c.Kind().K()))
	}
	t.shares = shares
	text := fmt.Sprintf("%d of %d trustees acknowledged this closing, and %d shares of its sum hold; %d open it.", len(acks), len(c.Trustees), len(t.shares), c.Kind().K())
	if len(wrong) > 0 {
		text += " Refused, as they do not hold, are the shares of " + strings.Join(wrong, ", ") + "."
	}
	return pass(Shares, "%s", text)
}
