package audit

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/decision"
	"github.com/metastate-p2p/metastate/protocol/decision/count"
	"github.com/metastate-p2p/metastate/protocol/merkle"
	"github.com/metastate-p2p/metastate/protocol/roll"
)

// roll looks the electorate up in the roll of the checkpoint that opened the vote.
func (t *trail) roll() Step {
	if t.opening == nil {
		return unjudged(Roll, noOpening)
	}
	p, members := t.poll, t.opening.Roll()
	var voices, whole uint64
	for m := range members.Members() {
		if m.Voice() {
			voices++
		}
		if inWhole(m) {
			whole++
		}
	}
	if whole != p.Electorate {
		return fail(Roll, t.proposal, "The electorate is said to be %d, and the roll of checkpoint %d has %d.", p.Electorate, p.RecordDate, whole)
	}
	root := members.Roots().Members
	// Clerks whose term is over are freed after the electorate is fixed.
	if p.Secret != nil && !bytes.Equal(p.Secret.Roll, root[:]) && slices.Equal(members.Clerks(), t.eve.Roll().Clerks()) {
		return fail(Roll, t.proposal, "The vote is bound to another roll than that of checkpoint %d.", p.RecordDate)
	}
	return pass(Roll, "%d could vote, of an electorate of %d, as of checkpoint %d (root of the roll %x).", voices, whole, p.RecordDate, root)
}

// inWhole reports whether somebody counts in the whole (SPEC §4.2): members, and
// those whose standing was taken for a time.
func inWhole(m *roll.Member) bool {
	for _, s := range slices.Backward(m.Spans) {
		if s.Standing != roll.Frozen {
			return s.Standing == roll.Full || s.Standing == roll.Suspended
		}
	}
	return false
}

// ballots picks the ballots that count from all that checkpoints cover, and
// requires that each may.
func (t *trail) ballots(refused map[protocol.Rule]uint64) Step {
	if len(t.lost) > 0 {
		return fail(Ballots, t.lost[0], "A checkpoint covers record %s of this vote, which the file lacks, or has damaged.", t.lost[0])
	}
	if t.closing == nil {
		return unjudged(Ballots, noClosing)
	}
	last := map[protocol.ID]*cast{} // by voter
	order := make([]*cast, len(t.cast))
	for i := range t.cast {
		order[i] = &t.cast[i]
	}
	slices.SortStableFunc(order, (*cast).compare)
	for _, c := range order {
		if !c.verdict.Stands {
			refused[c.verdict.Rule]++
			continue
		}
		last[c.voter] = c
	}
	var votes []*cast
	for _, voter := range slices.SortedFunc(maps.Keys(last), protocol.ID.Compare) {
		votes = append(votes, last[voter])
	}
	wrong := make([]string, len(votes))
	t.each(len(votes), func(i int) { wrong[i] = t.mayCount(votes[i]) })
	for i, why := range wrong {
		if why != "" {
			id := votes[i].record.ID()
			return fail(Ballots, id, "Ballot %s counts, and must not: %s.", id, why)
		}
	}
	p := t.closing.poll
	for _, c := range votes {
		if v, ok := p.Ballots.Get(c.voter); !ok || v.Ballot != c.record.ID() {
			return fail(Ballots, c.record.ID(), "Ballot %s is the last of its voter, and does not count.", c.record.ID())
		}
	}
	if p.Ballots.Len() != len(votes) {
		return fail(Ballots, t.proposal, "%d ballots count, and %d may.", p.Ballots.Len(), len(votes))
	}
	t.votes = votes
	return pass(Ballots, "%s", t.ballotWords(refused))
}

// mayCount says why a ballot may not count, or nothing.
func (t *trail) mayCount(c *cast) string {
	p := t.closing.poll
	switch {
	case t.opening == nil || c.height <= p.RecordDate || c.base >= p.Opened+p.Body.Voting || c.height > t.closing.ref.Height:
		return "it did not come while the vote was open"
	case !t.opening.Roll().Member(c.voter).Voice():
		return "its voter had no voice when the vote opened"
	}
	if p.Secret != nil && !p.CheckBallot(c.record) {
		return "it does not prove that it is a ballot of this voter"
	}
	return ""
}

func (t *trail) ballotWords(refused map[protocol.Rule]uint64) string {
	var b strings.Builder
	var n uint64
	var rules []string
	for _, rule := range slices.Sorted(maps.Keys(refused)) {
		n += refused[rule]
		rules = append(rules, fmt.Sprintf("%s %d", rule, refused[rule]))
	}
	fmt.Fprintf(&b, "%d of %d ballots that checkpoints cover count, each signed by one of the electorate while the vote was open", len(t.votes), len(t.cast))
	if t.closing.poll.Secret != nil {
		b.WriteString(", and each proved to be well formed")
	}
	if replaced := uint64(len(t.cast)-len(t.votes)) - n; replaced > 0 {
		fmt.Fprintf(&b, "; replaced by their voters: %d", replaced)
	}
	if n > 0 {
		fmt.Fprintf(&b, "; refused: %d (%s)", n, strings.Join(rules, ", "))
	}
	if t.left > 0 {
		fmt.Fprintf(&b, "; in the file, and covered by no checkpoint: %d", t.left)
	}
	return b.String() + "."
}

// seal requires that the closing checkpoint names the ballots that count, and no
// others.
func (t *trail) seal() Step {
	c := t.closing
	if c == nil {
		return unjudged(Seal, noClosing)
	}
	if t.votes == nil && c.poll.Ballots.Len() > 0 {
		return unjudged(Seal, noVotes)
	}
	own := t.mine()
	root, n := own.Ballots.Root(), uint64(own.Ballots.Len())
	_, _, result := c.poll.Closing()
	switch {
	case !c.has:
		return fail(Seal, c.ref.ID, "Checkpoint %d should close the vote, and does not.", c.ref.Height)
	case c.claimed.Digest != root || c.claimed.Count != n:
		return fail(Seal, c.ref.ID, "Checkpoint %d closes the vote over %s with the root %x; its records make %d with the root %x.",
			c.ref.Height, number(c.claimed.Count, "ballot"), c.claimed.Digest, n, root)
	case c.poll.Result == nil && c.claimed.Result != result:
		return fail(Seal, c.ref.ID, "Checkpoint %d seals another sum of the ballots than they have.", c.ref.Height)
	}
	return pass(Seal, "Checkpoint %d closes the vote over exactly these ballots (%d, root %x).", c.ref.Height, n, root)
}

// mine is the closed poll with the ballots that were picked here.
func (t *trail) mine() *decision.Poll {
	if t.own != nil {
		return t.own
	}
	p := *t.closing.poll
	p.Ballots = merkle.Map[*decision.Vote]{}
	for _, c := range t.votes {
		body, _ := protocol.Body[decision.BallotBody](c.record) // one that stands has a body
		v := &decision.Vote{Seq: c.record.Header().Seq, Ballot: c.record.ID(), Choice: count.Choice(body.Choice), By: c.by}
		if p.Secret != nil {
			v.Sealed = p.Secret.Election().Ciphertexts(body.Ballot)
		}
		p.Ballots = p.Ballots.Put(c.voter, v)
	}
	t.own = &p
	return t.own
}
