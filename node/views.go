package node

import (
	"cmp"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/certificate"
	"github.com/metastate-p2p/metastate/protocol/charter"
	"github.com/metastate-p2p/metastate/protocol/decision"
	"github.com/metastate-p2p/metastate/protocol/roll"
)

func at(unix int64) *time.Time {
	if unix == 0 {
		return nil
	}
	t := time.Unix(unix, 0).UTC()
	return &t
}

func checkpointRef(s *Snapshot) CheckpointRef {
	root := s.Final.Root()
	return CheckpointRef{Height: s.Ref.Height, ID: s.Ref.ID, StateRoot: hex.EncodeToString(root[:])}
}

// Status is how the metastate stands here. It wakes nothing.
func (c *Community) Status() Status {
	out := c.status()
	if what, remedy := c.cramped(); what != "" { // other trouble may come of it
		out.Trouble, out.Remedy = what, remedy
	}
	return out
}

func (c *Community) status() Status {
	l, rest, done := c.peek()
	defer done()
	var out Status
	switch {
	case rest != nil:
		out = rest.Status
	case l != nil:
		out = c.statusOf(l)
	default:
		out = c.unknown()
		c.mu.Lock()
		j := c.joining
		c.mu.Unlock()
		if j != nil {
			out.Step, out.Trouble, out.Remedy = j.Step, j.Trouble, j.Remedy
		}
		return out
	}
	m := c.presence()
	if m == nil {
		return out
	}
	peers := m.Peers()
	for _, p := range peers {
		if p.Connected {
			out.Peers++
		}
	}
	if out.Trouble == "" {
		out.Trouble, out.Remedy = c.awaits().trouble(peers, time.Now())
	}
	return out
}

// unknown is the status of who is not a member yet.
func (c *Community) unknown() Status {
	return Status{ID: c.id, Name: c.daily.Alias, Persona: c.Persona(), Standing: roll.Pending.String(), Presence: c.daily.Presence}
}

// statusOf is all of a status that the ledger tells.
func (c *Community) statusOf(l *ledger) Status {
	out, s := c.unknown(), l.Snapshot()
	out.Name = s.Final.Name()
	out.Checkpoint, out.Provisional = checkpointRef(s), len(s.Open)
	s.own(&out, c.key.Public())
	out.History = l.historyStatus()
	n := len(s.Final.Roll().Clerks())
	f, q := certificate.Quorum(n)
	out.Clerks = ClerkStatus{Count: n, Quorum: q, Faulty: f}
	if s.Trouble != nil {
		out.Trouble = s.Trouble.Error()
	}
	out.Lapsed, out.Unsent, out.Losing = l.lapses(), l.unsentAll(c.Persona()), c.losses.losing(s.Final)
	return out
}

// Charter is the charter in force; a zero one while joining.
func (c *Community) Charter() charter.Charter {
	s := c.Snapshot()
	if s == nil {
		return charter.Charter{}
	}
	return *s.Final.Charter()
}

// Roll is the roll as of a checkpoint, the latest if asOf is nil: the members,
// suspended ones too; with provisional also who asked to join, left or was
// expelled, as things would stand if all that is held were final.
func (c *Community) Roll(asOf *uint64, provisional bool) (RollList, error) {
	s := c.Snapshot()
	if s == nil {
		return RollList{}, errNotYet()
	}
	out := RollList{Checkpoint: checkpointRef(s), Members: []RollEntry{}}
	final, source := s.Final.Roll(), s.Final.Roll()
	if asOf != nil {
		past, err := c.book().stateAt(*asOf)
		if err != nil {
			return RollList{}, err
		}
		final, source = past.Final.Roll(), past.Final.Roll()
		out.Checkpoint = checkpointRef(past)
	} else if provisional {
		source = s.View.Roll()
	}
	for m := range source.Members() {
		if !provisional && !belongs(m.Standing()) {
			continue
		}
		f := final.Member(m.Persona)
		out.Members = append(out.Members, RollEntry{
			Persona: m.Persona, Name: m.Name, Standing: m.Standing().String(),
			Final:   f != nil && f.Standing() == m.Standing(),
			Offices: append([]string{}, m.OfficeNames()...), Since: at(m.Since()),
		})
	}
	slices.SortFunc(out.Members, func(a, b RollEntry) int { return strings.Compare(a.Persona.String(), b.Persona.String()) })
	return out, nil
}

// belongs reports whether one of that standing is a member, suspended or not.
func belongs(s roll.Standing) bool { return s == roll.Full || s == roll.Suspended || s == roll.Frozen }

// stateAt recomputes the final state at a height.
func (l *ledger) stateAt(height uint64) (*Snapshot, error) {
	if top := l.currentTip().Ref().Height; height == 0 || height > top {
		return nil, &Error{
			Code: "not-found", Exit: ExitNotFound,
			Message: fmt.Sprintf("there is no checkpoint %d: the latest is %d", height, top),
		}
	}
	tip, err := l.tipAt(height)
	if err != nil {
		return nil, err
	}
	return &Snapshot{Ref: tip.Ref(), Final: tip.State(), View: tip.State()}, nil
}

// Invites are all invites, newest expiry first.
func (c *Community) Invites() []InviteEntry {
	out := []InviteEntry{}
	s := c.Snapshot()
	if s == nil {
		return out
	}
	for id, i := range s.View.Roll().Invites() {
		e := InviteEntry{Invite: id, By: i.By, Uses: i.Uses, Used: i.Used, Expires: *at(i.Expires), Revoked: i.Revoked}
		e.State = e.stateAt(max(time.Now().Unix(), s.View.AsOf()))
		out = append(out, e)
	}
	slices.SortFunc(out, func(a, b InviteEntry) int { return b.Expires.Compare(a.Expires) })
	return out
}

// stateAt says whether an invite can still be used, and if not, why.
func (e InviteEntry) stateAt(unix int64) string {
	switch {
	case e.Revoked:
		return "revoked"
	case e.Used >= e.Uses:
		return "used"
	case e.Expires.Unix() <= unix:
		return "expired"
	}
	return "open"
}

// RollWhy explains a persona's standing.
func (c *Community) RollWhy(persona protocol.ID) (Why, error) {
	s := c.Snapshot()
	if s == nil {
		return Why{}, errNotYet()
	}
	e, ok := s.View.Explain(persona)
	if !ok {
		return Why{}, &Error{Code: "not-found", Exit: ExitNotFound, Message: "the persona is not on the roll", Hint: "metastate roll list --provisional"}
	}
	return Why{Verdict: e.Verdict, Because: slices.Compact(e.Because)}, nil // one record may take several things
}

// ProposalWhy explains where a proposal stands.
func (c *Community) ProposalWhy(ref string) (Why, error) {
	s := c.Snapshot()
	if s == nil {
		return Why{}, errNotYet()
	}
	id, err := s.proposal(ref)
	if err != nil {
		return Why{}, err
	}
	e, _ := s.View.Explain(id)
	names := s.candidates(s.View.Decisions().Poll(id))
	for i := range e.Because {
		e.Because[i].Text = InNames(e.Because[i].Text, names)
	}
	return Why{Verdict: e.Verdict, Because: e.Because}, nil
}

// Proposals are all proposals, those still to be decided first.
func (c *Community) Proposals() ProposalList {
	out := ProposalList{Proposals: []Proposal{}}
	s := c.Snapshot()
	if s == nil {
		return out
	}
	for p := range s.View.Decisions().Polls() {
		out.Proposals = append(out.Proposals, c.show(s, p))
	}
	slices.SortFunc(out.Proposals, func(a, b Proposal) int {
		return cmp.Or(strings.Compare(phaseOrder(a.Phase), phaseOrder(b.Phase)), strings.Compare(a.Proposal.String(), b.Proposal.String()))
	})
	return out
}

func phaseOrder(p string) string {
	if decision.Phase(p).Closed() {
		return "1"
	}
	return "0"
}

// Proposal shows one proposal with its text.
func (c *Community) Proposal(ref string) (Proposal, error) {
	s := c.Snapshot()
	if s == nil {
		return Proposal{}, errNotYet()
	}
	id, err := s.proposal(ref)
	if err != nil {
		return Proposal{}, err
	}
	out := c.show(s, s.View.Decisions().Poll(id))
	body, err := c.proposed(s.View.Decisions().Poll(id))
	if isNotFound(err) {
		err = nil // its text alone is of before the snapshot that this node began with
	}
	out.Text = body.Text
	for i, d := range out.Dissents {
		r, err := c.recordOf(d.Record)
		if err != nil {
			continue // of before the snapshot that this node began with
		}
		body, err := protocol.Body[decision.WordsBody](r)
		if err != nil {
			continue
		}
		out.Dissents[i] = Dissent{Record: d.Record, Author: r.Author(), Text: body.Text}
		if m := s.View.Roll().Member(r.Author()); m != nil {
			out.Dissents[i].Name = m.Name
		}
	}
	return out, err
}

func (c *Community) show(s *Snapshot, p *decision.Poll) Proposal {
	final := s.Final.Decisions().Poll(p.Proposal)
	out := Proposal{
		Proposal: p.Proposal, Title: p.Body.Title, Author: p.Author, Method: p.Body.Method, Class: p.Body.Class, Seats: p.Body.Seats, Params: p.Body.Params, Act: actWords(p.Body.Act),
		Phase: string(p.Phase), Final: final != nil, Options: p.Options, Electorate: p.Electorate, Opens: at(p.Opened),
		Names: s.candidates(p), Tie: p.Body.Tie, Rehearsal: p.Body.Rehearsal, Confirms: p.Body.Confirms,
		Version: p.Version(), Objections: p.Debate.Objections, AuthorName: s.nameOf(p.Author), Until: at(p.Next),
	}
	if p.Opened != 0 {
		out.Closes = at(p.Opened + p.Body.Voting)
	}
	me := s.Final.Roll().Member(c.Persona())
	out.MayVote = p.Phase == decision.Voting && me != nil && me.VoiceAt(p.RecordDate)
	if v, ok := p.Ballots.Get(c.Persona()); ok {
		out.Voted, out.VotedBy, out.VotedByName = string(v.Choice), v.By, s.nameOf(v.By)
	}
	out.Secret, out.Secrecy = p.IsSecret(), c.secrecy(s, p)
	if class, ok := s.View.Charter().Class(p.Body.Class); ok && class.Support != (charter.Support{}) {
		out.Support = &SupportView{Have: p.Debate.Support, Sponsors: class.Support.Sponsors, Share: class.Support.Share.String()}
	}
	for _, d := range p.Debate.Dissents {
		out.Dissents = append(out.Dissents, Dissent{Record: d})
	}
	return out
}

// Tally is the count of a poll as it stands.
func (c *Community) Tally(ref string) (Tally, error) {
	s := c.Snapshot()
	if s == nil {
		return Tally{}, errNotYet()
	}
	id, err := s.proposal(ref)
	if err != nil {
		return Tally{}, err
	}
	p := s.View.Decisions().Poll(id)
	if p.IsSecret() && p.Result == nil {
		return c.sealedTally(s, p)
	}
	result, err := s.View.Decisions().Tally(id, s.View.Charter(), s.View.Roll())
	if err != nil {
		return Tally{}, err
	}
	out := Tally{
		Proposal: id, Title: p.Body.Title, Phase: string(p.Phase), Final: p.Result != nil, Electorate: p.Electorate, Counted: result.Counted,
		Assisted: result.Assisted, Carried: result.Carried, Options: append([]string{}, p.Options...),
		Refused: p.Refused, Winners: append([]string{}, result.Winners...), Votes: map[string]uint64{}, Rounds: []Round{},
		Names: s.candidates(p), Secrecy: c.secrecy(s, p),
	}
	for _, v := range result.Votes {
		out.Votes[v.Name] = v.N
	}
	if p.IsSecret() && result.Counted < p.Body.Secret.Least { // nobody opens it
		out.Votes = nil
	}
	if p.Result == nil {
		return out, nil
	}
	out.Outcome = result.Outcome
	out.Seats, out.Matrix, out.Dropped = SeatsOf(result.Seats), result.Matrix, result.Dropped
	out.Rounds = RoundsOf(result.Rounds)
	for i := range out.Rounds {
		out.Rounds[i].Text = InNames(out.Rounds[i].Text, out.Names)
		out.Rounds[i].Facts = factsInNames(out.Rounds[i].Facts, out.Names)
	}
	closing, err := c.book().refAt(p.Result.Height)
	if err != nil {
		return Tally{}, err
	}
	out.Checkpoint = &closing
	return out, nil
}
