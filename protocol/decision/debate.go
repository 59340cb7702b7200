package decision

import (
	"iter"
	"slices"
	"unicode/utf8"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/dagcbor"
	"github.com/metastate-p2p/metastate/protocol/merkle"
)

// Kinds of stances.
const (
	supports  = "support"
	contests  = "contest"
	dissents  = "dissent"
	delegates = "delegate"
)

// A stance is what a member said that lasts: support of a proposal until its
// discussion ends, a contest and a dissent until the contest ends, a delegation
// until it is taken back.
type stance struct {
	Persona protocol.ID `cbor:"p"`
	Kind    string      `cbor:"k"`
	Poll    protocol.ID `cbor:"s,omitzero"`  // zero of a delegation that is for several
	Class   string      `cbor:"c,omitempty"` // of a delegation for a class
	To      protocol.ID `cbor:"to,omitzero"` // of a delegation
}

// key is the stance's place: a member has one of a kind on a matter. Those on one
// matter lie beside each other.
func (x stance) key() (key protocol.ID) {
	x.To = protocol.ID{}
	of, each := matter(x.Poll, x.Class), protocol.Sum(dagcbor.Encode(x))
	copy(key[:], of[:matterBits/8])
	copy(key[matterBits/8:], each[:])
	return key
}

// matterBits are the first bits of a stance's key, which are its matter's.
const matterBits = 128

// matter is what a stance is on: a proposal, else a class of decisions, else all.
func matter(poll protocol.ID, class string) protocol.ID {
	if !poll.IsZero() {
		return poll
	}
	return protocol.Sum([]byte("metastate/matter/1" + class))
}

// on are the stances on a matter.
func (s State) on(matter protocol.ID) iter.Seq2[[32]byte, stance] {
	return s.said.Under(matter, matterBits)
}

// AppendLeaf encodes the stance for the state root.
func (x stance) AppendLeaf(b []byte) []byte { return append(b, dagcbor.Encode(x)...) }

// forget drops the stances of some kinds on a poll.
func (s State) forget(poll protocol.ID, kinds ...string) State {
	for key, x := range s.on(poll) {
		if x.Poll == poll && slices.Contains(kinds, x.Kind) {
			s.said = s.said.Delete(key)
		}
	}
	return s
}

// A Delegation is a member's vote given to another.
type Delegation struct {
	Persona  protocol.ID
	Proposal protocol.ID // for one vote
	Class    string      // for a class of decisions; neither: for all
	To       protocol.ID
}

// Delegations are those in force, in no order of theirs but the same everywhere.
func (s State) Delegations() (out []Delegation) {
	for _, x := range s.said.All() {
		if x.Kind == delegates {
			out = append(out, Delegation{x.Persona, x.Poll, x.Class, x.To})
		}
	}
	return out
}

// debate judges what members say on proposals besides voting, by what holds in the
// base. Minority reports come by rising id, whatever their authors wrote after them,
// and withdrawals last: what a step brings besides one stands with it.
func (f *fold) debate() {
	var reports, last []*protocol.Record
	for _, r := range f.Records {
		switch rule := f.rule(r.Kind()); {
		case r.Kind() == protocol.Dissent:
			reports = append(reports, r)
		case r.Kind() == protocol.Withdraw:
			last = append(last, r)
		case rule != nil:
			f.verdicts = append(f.verdicts, rule(r))
		}
	}
	slices.SortFunc(reports, func(a, b *protocol.Record) int { return a.ID().Compare(b.ID()) })
	for _, r := range slices.Concat(reports, last) {
		f.verdicts = append(f.verdicts, f.rule(r.Kind())(r))
	}
}

func (f *fold) rule(kind protocol.Kind) func(*protocol.Record) protocol.Verdict {
	switch kind {
	case protocol.Revise:
		return f.revise
	case protocol.Withdraw:
		return f.withdraw
	case protocol.Support:
		return f.support
	case protocol.Contest:
		return f.contest
	case protocol.Dissent:
		return f.dissent
	case protocol.Delegate:
		return f.delegate
	case protocol.Comment:
		return f.comment
	case protocol.Trustee:
		return f.trustee
	case protocol.Open:
		return f.openSum
	}
	return nil
}

// Decides reports whether this package judges records of a kind.
func Decides(kind protocol.Kind) bool {
	switch kind {
	case protocol.Propose, protocol.Ballot:
		return true
	}
	return (*fold)(nil).rule(kind) != nil
}

// in is a poll that is in one of some phases in the base, and whose phase has not
// ended there, as it is now; nil if there is none.
func (f *fold) in(id protocol.ID, phases ...Phase) *Poll {
	base := f.Base.Poll(id)
	if base == nil || !slices.Contains(phases, base.Phase) || base.Next != 0 && base.Next <= f.BaseRoll.AsOf {
		return nil
	}
	p := *f.s.Poll(id)
	return &p
}

func malformed(r *protocol.Record) protocol.Verdict {
	return protocol.Void(r, RuleMalformed, "This record is not of the shape the protocol asks for.")
}

func (f *fold) revise(r *protocol.Record) protocol.Verdict {
	body, err := protocol.Body[ReviseBody](r)
	if err != nil {
		return malformed(r)
	}
	p := f.in(body.Proposal, Discussion)
	switch {
	case p == nil:
		return protocol.Void(r, RulePhase, "A proposal can be revised only while it is discussed.")
	case p.Author != r.Author():
		return protocol.Void(r, RulePower, "Only its author revises a proposal.")
	case p.Debate.Revisions == MaxRevisions:
		return protocol.Void(r, RulePower, "The proposal was revised as often as it can be.")
	case body.Body.Class != p.Body.Class || body.Body.Confirms != p.Body.Confirms || kindOf(body.Body.Act) != kindOf(p.Body.Act):
		return protocol.Void(r, RuleMalformed, "A revision keeps the class of a proposal and what kind of decision it is.")
	}
	if v := f.proposable(r, body.Body); !v.Stands {
		return v
	}
	p.ask(body.Body)
	if p.Secret = nil; p.IsSecret() { // it may have become so, or open
		f.call(p)
	}
	p.Debate.Version = r.ID()
	p.Debate.Revisions++
	p.because(RuleRevised, r.ID())
	f.s = f.s.put(p)
	return protocol.Stand(r, RuleRevised, "The author put another text in its place while it was discussed.")
}

func kindOf(a *Act) string {
	if a == nil {
		return ""
	}
	return a.Kind
}

func (f *fold) withdraw(r *protocol.Record) protocol.Verdict {
	body, err := protocol.Body[WithdrawBody](r)
	if err != nil {
		return malformed(r)
	}
	p := f.in(body.Proposal, Discussion, Frozen)
	switch {
	case p == nil:
		return protocol.Void(r, RulePhase, "A proposal can be withdrawn only before its vote.")
	case p.Author != r.Author():
		return protocol.Void(r, RulePower, "Only its author withdraws a proposal.")
	}
	if p.Phase != Withdrawn { // by another device, in this step
		p.because(RuleWithdrawn, r.ID())
		f.end(p, Withdrawn)
	}
	return protocol.Stand(r, RuleWithdrawn, "The author took it back before the vote.")
}

// end ends a proposal that is not voted on.
func (f *fold) end(p *Poll, in Phase) {
	f.retire(p)
	p.Phase, p.Next = in, 0
	f.Roll = f.Roll.Polled(p.Author, -1)
	f.s = f.s.put(p).forget(p.Proposal, supports, delegates)
}

// retire notes that nothing more of a poll is covered after this step.
func (f *fold) retire(p *Poll) {
	if f.s.final == nil {
		f.s.final = map[protocol.ID]merkle.Set{}
	}
	f.s.final[p.Proposal], p.Covered = p.Covered, merkle.Set{}
}

func (f *fold) support(r *protocol.Record) protocol.Verdict {
	body, err := protocol.Body[SupportBody](r)
	if err != nil {
		return malformed(r)
	}
	if !f.BaseRoll.Authorised(r) {
		return protocol.Void(r, RulePower, "Only members support proposals.")
	}
	p := f.in(body.Proposal, Discussion)
	if p == nil || p.Author == r.Author() {
		return protocol.Void(r, RulePhase, "Members other than its author support a proposal while it is discussed.")
	}
	x := stance{Persona: r.Author(), Kind: supports, Poll: p.Proposal}
	_, has := f.s.said.Get(x.key())
	switch {
	case body.Not && has:
		f.s.said = f.s.said.Delete(x.key())
		p.Debate.Support--
	case !body.Not && !has:
		f.s.said = f.s.said.Put(x.key(), x)
		p.Debate.Support++
	}
	f.s = f.s.put(p)
	return protocol.Stand(r, RuleSupport, "A member said whether it should come to the vote.")
}

// supported reports whether enough members would have a proposal voted on.
func (f *fold) supported(p *Poll) bool {
	class, _ := f.Charter.Class(p.Body.Class)
	return p.Debate.Support >= class.Support.Sponsors && (class.Support.Share.Num == 0 || class.Support.Share.AtLeast(p.Debate.Support+1, f.Roll.Whole()))
}

// elector is whether the author had a voice when the vote on a poll opened, and
// has one in the base.
func (f *fold) elector(p *Poll, r *protocol.Record) bool {
	h := r.Header()
	d := f.BaseRoll.Base.Device(h.Key)
	if d == nil || d.Persona != h.Persona || !d.Live(f.BaseRoll.AsOf) {
		return false
	}
	m := f.BaseRoll.Base.Member(h.Persona)
	return m.Voice() && m.VoiceAt(p.RecordDate)
}

// words is the decision that a record says something on.
func (f *fold) words(r *protocol.Record, phases ...Phase) (*Poll, protocol.Verdict) {
	body, err := protocol.Body[WordsBody](r)
	if err != nil || CheckText("text", body.Text, MaxReason) != nil {
		return nil, malformed(r)
	}
	p := f.in(body.Proposal, phases...)
	if p == nil || p.Body.Rehearsal {
		return nil, protocol.Void(r, RulePhase, "The decision is not one on which that can be said now.")
	}
	if !f.elector(p, r) {
		return nil, protocol.Void(r, RuleElector, "Only who could vote on a decision says so of it.")
	}
	return p, protocol.Verdict{}
}

func (f *fold) contest(r *protocol.Record) protocol.Verdict {
	p, v := f.words(r, Contest)
	if p == nil {
		return v
	}
	x := stance{Persona: r.Author(), Kind: contests, Poll: p.Proposal}
	if _, has := f.s.said.Get(x.key()); !has {
		f.s.said = f.s.said.Put(x.key(), x)
		p.Debate.Objections++
		f.s = f.s.put(p)
	}
	return protocol.Stand(r, RuleContest, "A member of the electorate objects to the decision, and says why.")
}

// contested reports whether so many object to a decision that it is set aside.
// One that was taken again is not.
func (f *fold) contested(p *Poll) bool {
	class, _ := f.Charter.Class(p.Body.Class)
	bar := class.Objections.SetAside
	return bar.Num > 0 && p.Body.Confirms.IsZero() && p.Debate.Objections > 0 && bar.AtLeast(p.Debate.Objections, p.Electorate)
}

func (f *fold) dissent(r *protocol.Record) protocol.Verdict {
	p, v := f.words(r, Contest, Passed)
	if p == nil {
		return v
	}
	x := stance{Persona: r.Author(), Kind: dissents, Poll: p.Proposal}
	if _, has := f.s.said.Get(x.key()); has || len(p.Debate.Dissents) == MaxDissents {
		return protocol.Void(r, RulePower, "The member's minority report stands already, or there are as many as a decision carries.")
	}
	f.s.said = f.s.said.Put(x.key(), x)
	p.Debate.Dissents = append(slices.Clone(p.Debate.Dissents), r.ID())
	f.s = f.s.put(p)
	return protocol.Stand(r, RuleDissent, "A minority report, which the decision carries.")
}

func (f *fold) delegate(r *protocol.Record) protocol.Verdict {
	body, err := protocol.Body[DelegateBody](r)
	if err != nil || !body.Proposal.IsZero() && body.Class != "" {
		return malformed(r)
	}
	if !f.BaseRoll.Authorised(r) {
		return protocol.Void(r, RulePower, "Only members give their vote to others.")
	}
	if p := f.Base.Poll(body.Proposal); p != nil && p.IsSecret() {
		return protocol.Void(r, RulePower, "In a secret vote nobody votes for another.")
	}
	x := stance{Persona: r.Author(), Kind: delegates, Poll: body.Proposal, Class: body.Class, To: body.To}
	if body.To.IsZero() {
		f.s.said = f.s.said.Delete(x.key())
		return protocol.Stand(r, RuleDelegate, "A member votes in person again.")
	}
	if f.Charter.Delegation.Cap == 0 {
		return protocol.Void(r, RulePower, "The charter does not let members give their vote to others.")
	}
	if !f.BaseRoll.Base.Member(body.To).Voice() {
		return protocol.Void(r, RulePower, "A vote is given to a member.")
	}
	if _, ok := f.Charter.Class(body.Class); body.Class != "" && !ok {
		return protocol.Void(r, RuleMalformed, "The charter has no such class of decision.")
	}
	if !body.Proposal.IsZero() && f.in(body.Proposal, Discussion, Frozen, Voting) == nil {
		return protocol.Void(r, RulePhase, "There is no such vote any more, or not yet.")
	}
	f.s.said = f.s.said.Put(x.key(), x)
	return protocol.Stand(r, RuleDelegate, "A member gave another the vote in what they do not vote on themselves.")
}

// comment judges a part of a proposal's discussion. Nothing of it is in the state
// but that it is covered.
func (f *fold) comment(r *protocol.Record) protocol.Verdict {
	body, err := protocol.Body[CommentBody](r)
	if err != nil || CheckText("text", body.Text, MaxComment) != nil || len(body.Suggest) > MaxText || !utf8.ValidString(body.Suggest) {
		return malformed(r)
	}
	if f.in(r.Header().Subject, Discussion, Frozen, Voting) == nil {
		return protocol.Void(r, RulePhase, "The proposal is not discussed any more.")
	}
	if !f.BaseRoll.Authorised(r) {
		return protocol.Void(r, RulePower, "Only members discuss proposals.")
	}
	return protocol.Stand(r, RuleComment, "Part of the proposal's discussion.")
}
