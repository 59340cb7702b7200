package audit

import (
	"fmt"
	"strings"

	"github.com/metastate-p2p/metastate/protocol/decision"
	"github.com/metastate-p2p/metastate/protocol/decision/count"
	"github.com/metastate-p2p/metastate/protocol/decision/secret"
)

// result counts anew, and compares with what was declared.
func (t *trail) result() (Step, *decision.Result) {
	c := t.closing
	switch {
	case c == nil:
		return unjudged(Result, noClosing), nil
	case t.votes == nil && c.poll.Ballots.Len() > 0:
		return unjudged(Result, noVotes), nil
	case c.poll.Secret == nil:
		return t.openResult()
	case t.tooFew():
		return t.noResult()
	case t.shares == nil:
		return unjudged(Result, "the sum of the ballots was not opened"), nil
	}
	return t.secretResult()
}

// openResult counts the ballots that were picked here.
func (t *trail) openResult() (Step, *decision.Result) {
	c := t.closing
	own, err := t.mine().Count(decision.Rule(c.class), c.poll.Result.Given())
	if err != nil {
		return fail(Result, t.proposal, "The ballots can't be counted: %s.", because(err)), nil
	}
	own.Height = c.ref.Height
	if own.Counted+own.Carried > t.poll.Electorate {
		return fail(Result, t.proposal, "%d votes count, of an electorate of %d.", own.Counted+own.Carried, t.poll.Electorate), own
	}
	return t.declared(own), own
}

// declared compares a result with that in the closing checkpoint.
func (t *trail) declared(own *decision.Result) Step {
	if c := t.closing; !c.has || c.claimed.Result != own.ID() {
		return fail(Result, c.ref.ID, "Checkpoint %d declares another result than its ballots have. Counted anew: %s", c.ref.Height, words(own))
	}
	return pass(Result, "Counted anew it is the result that checkpoint %d declares: %s", t.closing.ref.Height, words(own))
}

// noResult is that of a secret vote with fewer ballots than are opened.
func (t *trail) noResult() (Step, *decision.Result) {
	c := t.closing
	n := uint64(len(t.votes))
	if n >= c.poll.Body.Secret.Least {
		return fail(Result, t.proposal, "%s count, enough to open their sum, and it was not.", number(n, "ballot")), nil
	}
	step := t.declared(c.poll.Result)
	if step.Pass {
		step.Detail = fmt.Sprintf("%s: fewer than the %d from which on the sum is opened. Nobody knows what they say, and checkpoint %d declares that the proposal is rejected.", number(n, "ballot"), c.poll.Body.Secret.Least, c.ref.Height)
	}
	return step, c.poll.Result
}

// secretResult opens the sum with the shares, and counts what it says. Any of them
// must open it to the same.
func (t *trail) secretResult() (Step, *decision.Result) {
	sealed := secret.Sealed{Set: t.mine().Sealed().Set, Sum: t.sum}
	k := t.opening.Decisions().Committee(t.closing.poll.Secret.Committee).Kind().K()
	var results []*decision.Result
	for _, some := range [][]*secret.Share{t.shares[:k], t.shares[len(t.shares)-k:]} {
		opened, err := t.election.Result(sealed, some)
		if err != nil {
			return fail(Result, t.proposal, "The shares do not open the sum: %s.", because(err)), nil
		}
		r, err := t.mine().CountSum(decision.Rule(t.reveal), opened)
		if err != nil {
			return fail(Result, t.proposal, "What the sum says can't be counted: %s.", because(err)), nil
		}
		results = append(results, r)
	}
	own := results[0]
	switch {
	case results[1].ID() != own.ID():
		return fail(Result, t.proposal, "Shares of other trustees open the sum to another result."), own
	case t.poll.Result == nil || t.poll.Result.ID() != own.ID():
		return fail(Result, t.proposal, "The sum says another result than the records lead to. Counted anew: %s", words(own)), own
	}
	return pass(Result, "The shares open the sum, and counted anew it is the result in the state that the clerks signed: %s", words(own)), own
}

// words says a result.
func words(r *decision.Result) string {
	var votes []string
	for _, v := range r.Votes {
		votes = append(votes, fmt.Sprintf("%s %d", v.Name, v.N))
	}
	text := r.Outcome
	if r.Outcome == count.Elected {
		text += " " + strings.Join(r.Winners, ", ")
	}
	return fmt.Sprintf("%s (%s; %s).", text, strings.Join(votes, ", "), number(r.Counted, "ballot"))
}
