package node

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/decision"
	"github.com/metastate-p2p/metastate/protocol/decision/committee"
)

// leastOpened is how many ballots must be cast for a secret vote to be opened, if
// nobody says otherwise: the sum of one tells what it says, and of two each voter
// knows the other's.
const leastOpened = 3

// SecrecyView is how far a secret vote is. It never says how anybody voted.
type SecrecyView struct {
	Least     uint64        `json:"least"`                // ballots that must be cast for it to be opened
	Committee protocol.ID   `json:"committee,omitzero"`   // none of a draft
	Stage     string        `json:"stage,omitempty"`      // of the making of its key: announce, commit, deal, confirm, ready or failed
	Until     *time.Time    `json:"until,omitempty"`      // when the stage ends whoever is away
	Acks      int           `json:"acks"`                 // trustees who acknowledged the closing
	AcksNeed  int           `json:"acksNeed,omitempty"`   // of them, before any gives a share
	Shares    int           `json:"shares"`               // trustees whose share is there
	ShareNeed int           `json:"sharesNeed,omitempty"` // of them, to open it
	Wrong     []protocol.ID `json:"wrong,omitempty"`      // records of shares that do not hold
	Waiting   []string      `json:"waiting"`              // names of the trustees of whom something is asked now
	Trustees  []TrusteeView `json:"trustees"`
	Cast      bool          `json:"cast"`             // this persona has a ballot in it
	Unsent    string        `json:"unsent,omitempty"` // the code of a ballot that is prepared and NOT sent
}

// TrusteeView is what a trustee has done for a secret vote.
type TrusteeView struct {
	Persona      protocol.ID `json:"persona"`
	Name         string      `json:"name"`
	Share        bool        `json:"share"`           // they took part in making the key, and can open
	Acknowledged bool        `json:"acknowledged"`    // the closing
	Opened       bool        `json:"opened"`          // their share of the sum is there
	Guilty       protocol.ID `json:"guilty,omitzero"` // the complaint that convicted them
}

// secrecy is how far a secret vote is, nil of an open one.
func (c *Community) secrecy(s *Snapshot, p *decision.Poll) *SecrecyView {
	if !p.IsSecret() {
		return nil
	}
	out := &SecrecyView{Least: p.Body.Secret.Least, Waiting: []string{}, Trustees: []TrusteeView{}}
	_, out.Cast = p.Ballots.Get(c.Persona())
	if l := c.book(); l != nil {
		out.Unsent = l.unsent(c.Persona(), p.Proposal)
	}
	p = s.Final.Decisions().Poll(p.Proposal) // trustees go by what is final
	if p == nil || p.Secret == nil {
		return out
	}
	k := s.Final.Decisions().Committee(p.Secret.Committee)
	out.Committee, out.Stage, out.Until = k.ID, string(k.Stage), at(k.Until)
	out.Acks, out.Shares, out.Wrong = len(p.Secret.Acks), len(p.Secret.Shares), p.Secret.Wrong
	out.AcksNeed, out.ShareNeed = k.Kind().Q(), k.Kind().K()
	waiting := waitedFor(k, p)
	for i, t := range k.Trustees {
		n := uint64(i + 1)
		v := TrusteeView{
			Persona: t.Persona, Share: t.Announcement != nil, Guilty: t.Guilty, Acknowledged: slices.Contains(p.Secret.Acks, n),
			Opened: slices.ContainsFunc(p.Secret.Shares, func(x decision.OpenedShare) bool { return x.Trustee == n }),
		}
		if m := s.Final.Roll().Member(t.Persona); m != nil {
			v.Name = m.Name
		}
		if waiting[i] {
			out.Waiting = append(out.Waiting, cmp.Or(v.Name, t.Persona.String()))
		}
		out.Trustees = append(out.Trustees, v)
	}
	return out
}

// waitedFor are the trustees, by place, of whom a stage of the key's making, or the
// opening of the vote, if there is one, asks something now.
func waitedFor(k *committee.Committee, p *decision.Poll) []bool {
	out := make([]bool, len(k.Trustees))
	for i, t := range k.Trustees {
		n := uint64(i + 1)
		switch k.Stage {
		case committee.Announce:
			out[i] = t.Announcement == nil
		case committee.Commit:
			out[i] = t.Announcement != nil && t.Commitment == nil
		case committee.Deal:
			out[i] = t.Commitment != nil && t.Deal == nil
		case committee.Confirm:
			out[i] = t.Announcement != nil && !t.Confirmed
		case committee.Ready:
			switch {
			case p == nil || p.Phase != decision.Closed || t.Announcement == nil:
			case len(p.Secret.Acks) < k.Kind().Q():
				out[i] = !slices.Contains(p.Secret.Acks, n)
			default:
				out[i] = !slices.ContainsFunc(p.Secret.Shares, func(x decision.OpenedShare) bool { return x.Trustee == n })
			}
		}
	}
	return out
}

// sealedTally is the count of a secret vote that is not opened: how many ballots
// there are, and nothing of what they say.
func (c *Community) sealedTally(s *Snapshot, p *decision.Poll) (Tally, error) {
	out := Tally{
		Proposal: p.Proposal, Title: p.Body.Title, Phase: string(p.Phase), Electorate: p.Electorate, Refused: p.Refused,
		Winners: []string{}, Options: append([]string{}, p.Options...), Rounds: []Round{}, Names: s.candidates(p), Secrecy: c.secrecy(s, p),
	}
	if p.Secret == nil || p.Secret.Election() == nil {
		return out, nil
	}
	out.Counted = p.Secret.Sum().Ballots()
	if p.Secret.Height == 0 {
		return out, nil
	}
	closing, err := c.book().refAt(p.Secret.Height)
	if err != nil {
		return Tally{}, err
	}
	out.Checkpoint = &closing
	return out, nil
}

// makeSecret makes a proposal secret if that is asked for, and refuses what the
// trustees in office could not open.
func (c *Community) makeSecret(s *Snapshot, body *decision.ProposeBody, req ProposeRequest) error {
	if !req.Secret && body.Secret == (decision.SecretBody{}) {
		if req.Trustees != 0 || req.Least != 0 {
			return &Error{Code: "usage", Exit: ExitUsage, Message: "only a secret vote has trustees, and ballots that must be cast for it to be opened", Hint: "give --secret"}
		}
		return nil
	}
	body.Secret.Least = cmp.Or(req.Least, body.Secret.Least, leastOpened)
	if _, err := decision.SecretShape(body.Method, body.Params); err != nil {
		return &Error{Code: "usage", Exit: ExitUsage, Message: plain(err), Err: err, Hint: "leave out --secret, or take another --method"}
	}
	personas, id := decision.Trustees(s.Final.Roll())
	if n := uint64(len(personas)); req.Trustees != 0 && n != req.Trustees {
		return refuse(fmt.Sprintf("there are %s in office, not %d", Counted(int(n), "trustee"), req.Trustees), "leave out --trustees to have those in office; metastate office list says who they are")
	}
	if _, err := committee.New(id, personas, 0); err != nil {
		return refuse(fmt.Sprintf("a secret vote needs 4, 7, 10, … up to 31 trustees in office, and there are %d", len(personas)), appointTrustees)
	}
	if n := s.Final.Roll().Whole(); body.Secret.Least > n { // a vote that could only fail
		return refuse(fmt.Sprintf("nobody would open it: --least asks for %d ballots, and there are %s", body.Secret.Least, Counted(int(n), "member")), "give a smaller --least")
	}
	if k := s.Final.Decisions().Committee(id); k != nil && k.Stage == committee.Failed {
		return refuse("the trustees in office could not make a key: others are needed", "metastate office recall trustee --out PERSONA --in PERSONA --reason \"no key\"")
	}
	return nil
}

const appointTrustees = "metastate office appoint trustee PERSONA…, as the founder while sole clerk; later propose open --elect trustee, or metastate office list shows who there is"

// TrusteeStatus is what this persona is asked to do as a trustee, which its node does
// by itself.
type TrusteeStatus struct {
	Office     bool        `json:"office"`     // the persona holds it, in its term
	Committees []TrusteeOf `json:"committees"` // that it is in
	Trustees   int         `json:"trustees"`   // in office now
}

// TrusteeOf is a committee that this persona is in.
type TrusteeOf struct {
	Committee protocol.ID   `json:"committee"`
	Number    int           `json:"number"` // of the persona in it
	Of        int           `json:"of"`
	Stage     string        `json:"stage"`
	Until     *time.Time    `json:"until"`     // when the stage ends whoever is away
	Secret    bool          `json:"secret"`    // this device holds the secret that the share follows from
	Elsewhere bool          `json:"elsewhere"` // another device of the persona's announced, and alone can go on
	Waiting   []string      `json:"waiting"`   // for whom the stage waits
	Votes     []TrusteeVote `json:"votes"`     // that are closed and wait to be opened
}

// TrusteeVote is a closed vote that waits for its trustees.
type TrusteeVote struct {
	Proposal  protocol.ID `json:"proposal"`
	Title     string      `json:"title"`
	Acks      int         `json:"acks"`
	AcksNeed  int         `json:"acksNeed"`
	Shares    int         `json:"shares"`
	ShareNeed int         `json:"sharesNeed"`
	Waiting   []string    `json:"waiting"`
}

// TrusteeStatus says what this persona does as a trustee.
func (c *Community) TrusteeStatus() (TrusteeStatus, error) {
	s := c.Snapshot()
	if s == nil {
		return TrusteeStatus{}, errNotYet()
	}
	l := c.book()
	personas, _ := decision.Trustees(s.Final.Roll())
	out := TrusteeStatus{Office: holdsOffice(s.Final.Roll().Member(c.Persona())), Committees: []TrusteeOf{}, Trustees: len(personas)}
	for k := range s.Final.Decisions().Committees() {
		n := k.Number(c.Persona())
		if n == 0 {
			continue
		}
		t := k.Trustees[n-1]
		x := TrusteeOf{
			Committee: k.ID, Number: n, Of: len(k.Trustees), Stage: string(k.Stage), Until: at(k.Until),
			Secret: len(l.store.PrivateKeys(trusteeKey(k.ID))) > 0, Elsewhere: t.Announcement != nil && t.Device != c.key.Public(),
			Waiting: s.named(k, waitedFor(k, nil)), Votes: []TrusteeVote{},
		}
		for p := range s.Final.Decisions().Polls() {
			if p.Phase == decision.Closed && p.Secret != nil && p.Secret.Committee == k.ID {
				x.Votes = append(x.Votes, TrusteeVote{
					Proposal: p.Proposal, Title: p.Body.Title, Acks: len(p.Secret.Acks), AcksNeed: k.Kind().Q(),
					Shares: len(p.Secret.Shares), ShareNeed: k.Kind().K(), Waiting: s.named(k, waitedFor(k, p)),
				})
			}
		}
		out.Committees = append(out.Committees, x)
	}
	slices.SortFunc(out.Committees, func(a, b TrusteeOf) int { return strings.Compare(a.Committee.String(), b.Committee.String()) })
	return out, nil
}

// named are the names of some trustees, by place.
func (s *Snapshot) named(k *committee.Committee, some []bool) []string {
	out := []string{}
	for i, t := range k.Trustees {
		if !some[i] {
			continue
		}
		name := t.Persona.String()
		if m := s.Final.Roll().Member(t.Persona); m != nil && m.Name != "" {
			name = m.Name
		}
		out = append(out, name)
	}
	return out
}
