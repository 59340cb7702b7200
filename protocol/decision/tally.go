package decision

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/charter"
	"github.com/metastate-p2p/metastate/protocol/decision/count"
	"github.com/metastate-p2p/metastate/protocol/roll"
)

// Rule is the rule of a class of decision as a count needs it.
func Rule(class charter.Class) count.Rule {
	words := "at least"
	if class.Strict {
		words = "more than"
	}
	of := "the yes and no votes"
	if class.Of == charter.OfRoll {
		of = "all who may vote"
	}
	sentence := fmt.Sprintf("%s %s of %s must say yes.", words, class.Threshold, of)
	rule := count.Rule{
		Passes: class.Passes, OfRoll: class.Of == charter.OfRoll, Quorum: class.Quorum.AtLeast,
		Override: func(consent, of uint64) bool {
			o := class.Objections.Override
			return o.Num > 0 && o.AtLeast(consent, of)
		},
	}
	switch {
	case class.Quorum.Num == 0:
	case class.QuorumOf == charter.OfTurnout:
		rule.Quorum, rule.Sided = func(uint64, uint64) bool { return true }, class.Quorum.AtLeast
		sentence += fmt.Sprintf(" At least %s of the ballots must not abstain.", class.Quorum)
	default:
		sentence += fmt.Sprintf(" At least %s of those who may vote must vote.", class.Quorum)
	}
	rule.Words = sentence
	return rule
}

// Tally counts a poll's ballots as they stand: the result once the vote is over,
// before that how it would be if it ended now. The charter and the roll are those
// of the same state.
func (s State) Tally(poll protocol.ID, c *charter.Charter, r roll.State) (*Result, error) {
	p := s.Poll(poll)
	if p == nil {
		return nil, fmt.Errorf("decision: counting: no proposal %s", poll)
	}
	if p.Result != nil {
		return p.Result, nil
	}
	class, _ := c.Class(p.Body.Class)
	return p.Count(Rule(class), s.carried(p, c, r))
}

// Count counts the ballots, each with the votes that its voter carries.
func (p *Poll) Count(rule count.Rule, carried map[protocol.ID]uint64) (*Result, error) {
	m, err := MethodByName(p.Body.Method)
	if err != nil {
		return nil, err
	}
	out := &Result{Counted: uint64(p.Ballots.Len()), Ballots: p.Ballots.Root(), given: carried}
	n := map[count.Choice]uint64{}
	for voter, v := range p.Ballots.All() {
		n[v.Choice] += 1 + carried[voter]
		out.Carried += carried[voter]
		if !v.By.IsZero() {
			out.Assisted++
		}
	}
	q := p.Body.question(p.Options)
	q.Electorate, q.Cast, q.Rule = p.Electorate, out.Counted+out.Carried, rule
	if p.Body.Tie != TieListed {
		q.Order = p.lot(out.Ballots)
	}
	ballots, form := make([]count.Ballot, 0, len(n)), m.Form(q)
	for c, k := range n {
		marks, err := form.Parse(p.Options, string(c))
		if err != nil {
			return nil, fmt.Errorf("decision: a ballot that counts: %w", err)
		}
		ballots = append(ballots, count.Ballot{Marks: marks, N: k})
	}
	if out.Result, err = count.Count(m, q, ballots); err != nil {
		return nil, fmt.Errorf("decision: %w", err)
	}
	out.explain(p)
	return out, nil
}

// explain says what the count itself does not know.
func (r *Result) explain(p *Poll) {
	var first []count.Round
	if p.Body.Rehearsal {
		first = append(first, count.Say("This was a rehearsal: it has no effect."))
	}
	if r.Assisted > 0 {
		first = append(first, count.Say("Cast by officers for members, who could replace them: %s.", number(r.Assisted, "ballot")))
	}
	if r.Carried > 0 {
		first = append(first, count.Say("Cast were %s; with them count %s of members who gave theirs to who cast them.", number(r.Counted, "ballot"), number(r.Carried, "vote")))
	}
	r.Rounds = append(first, r.Rounds...)
}

func number(n uint64, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// lot is the order for ties that the ballots draw: nobody knows it before the last
// ballot is covered.
func (p *Poll) lot(ballots [32]byte) []int {
	draw := make([]protocol.ID, len(p.Options))
	for i, o := range p.Options {
		draw[i] = protocol.Sum(slices.Concat([]byte("metastate/lot/1"), p.Proposal[:], ballots[:], []byte(o)))
	}
	order := count.AsListed(len(p.Options))
	slices.SortFunc(order, func(a, b int) int { return bytes.Compare(draw[a][:], draw[b][:]) })
	return order
}

// carried are the votes that each voter carries: those of members of the
// electorate who cast no ballot and whose delegation leads to the voter. In what
// leads to nobody, or over the cap, a vote abstains (SPEC §8.2).
func (s State) carried(p *Poll, c *charter.Charter, r roll.State) map[protocol.ID]uint64 {
	if c.Delegation.Cap == 0 {
		return nil
	}
	d := delegations{given: s.given(p), poll: p, roll: r, found: map[protocol.ID]protocol.ID{}}
	if len(d.given) == 0 {
		return nil
	}
	out := map[protocol.ID]uint64{}
	for m := range r.Members() { // by rising id, so that the cap is the same for all
		if to := d.voter(m.Persona); !to.IsZero() && to != m.Persona && out[to] < c.Delegation.Cap {
			out[to]++
		}
	}
	return out
}

// given is whom members gave their vote to in a poll, by the narrowest of their
// delegations.
func (s State) given(p *Poll) map[protocol.ID]protocol.ID {
	given := map[protocol.ID]protocol.ID{}
	for _, on := range []struct {
		poll  protocol.ID
		class string
	}{{}, {class: p.Body.Class}, {poll: p.Proposal}} { // what is narrower replaces
		for _, x := range s.on(matter(on.poll, on.class)) {
			if x.Kind == delegates && x.Poll == on.poll && x.Class == on.class {
				given[x.Persona] = x.To
			}
		}
	}
	return given
}

// delegations follow votes from member to member.
type delegations struct {
	given map[protocol.ID]protocol.ID
	poll  *Poll
	roll  roll.State
	found map[protocol.ID]protocol.ID // whose ballot a member's vote is; zero: nobody's
}

// voter is whose ballot a member's vote is, zero if it leads to nobody or in a
// circle.
func (d *delegations) voter(persona protocol.ID) protocol.ID {
	var way []protocol.ID
	var end protocol.ID
	on := map[protocol.ID]bool{}
	for at := persona; !on[at]; at = d.given[at] {
		if known, ok := d.found[at]; ok {
			end = known
			break
		}
		m := d.roll.Member(at)
		if m == nil || !m.VoiceAt(d.poll.RecordDate) || !m.Voice() {
			break
		}
		if _, voted := d.poll.Ballots.Get(at); voted {
			end = at
			break
		}
		way = append(way, at)
		on[at] = true
		if d.given[at].IsZero() {
			break
		}
	}
	for _, at := range way {
		d.found[at] = end
	}
	return end
}
