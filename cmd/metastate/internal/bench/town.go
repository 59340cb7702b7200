package bench

import (
	"crypto/rand"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/charter"
	"github.com/metastate-p2p/metastate/protocol/decision"
	"github.com/metastate-p2p/metastate/protocol/roll"
)

// A town is a metastate made to be measured: its people sign what people
// would, as fast as keys allow.
type town struct {
	metastate protocol.ID
	at        time.Time           // when everything in it is said to be made
	ref       protocol.Ref        // the checkpoint that records cite
	gate      identity.SigningKey // the key of every invite
	founder   *author
	members   []*author // but the founder, in order of admission
}

// An author is a persona with one device, and the end of the device's chain.
type author struct {
	persona protocol.ID
	device  identity.SigningKey
	seq     uint64
	prev    protocol.ID
}

// An applicant is someone who is not admitted yet.
type applicant struct {
	*author
	inception, grant *protocol.Record
}

// townCharter is the default template, with invites that last and admit as many
// as any charter can let them.
func townCharter() (charter.Charter, error) {
	c, err := charter.Template(charter.DefaultTemplate)
	c.Admission.MaxUses, c.Admission.MaxAge = charter.MaxUses, charter.MaxAge
	return c, err
}

// apply makes someone with keys of their own, introduced by a founding key or
// an invite's.
func (t *town) apply(introducer identity.Signer, name string, parents ...protocol.ID) (p applicant, err error) {
	return t.applyBy(newKey(), introducer, name, parents...)
}

// applyBy is apply with a device that is there already.
func (t *town) applyBy(device identity.SigningKey, introducer identity.Signer, name string, parents ...protocol.ID) (p applicant, err error) {
	persona := newKey()
	p.author = &author{device: device}
	h := protocol.Header{
		Metastate: t.metastate, Kind: protocol.Inception, Key: persona.Public(),
		Cosigners: []identity.PublicKey{introducer.Public()}, Parents: parents, Time: t.at.Unix(),
	}
	body := identity.Inception{Next: identity.Commit(newKey().Public()), Name: name}
	rand.Read(body.Nonce[:])
	if p.inception, err = protocol.Sign(h, body, nil, persona, introducer); err != nil {
		return p, err
	}
	p.persona = p.inception.ID()
	h.Kind, h.Persona, h.Seq, h.Prev = protocol.Grant, p.persona, 1, p.persona
	h.Cosigners = []identity.PublicKey{p.device.Public()}
	if len(parents) > 0 {
		h.Parents = []protocol.ID{p.persona}
	}
	grant := identity.Grant{Device: p.device.Public(), Expires: t.at.Unix() + identity.DefaultGrantLife}
	p.grant, err = protocol.Sign(h, grant, nil, persona, p.device)
	return p, err
}

// write makes an author's next control record. Without parents it follows the
// author's last.
func (t *town) write(a *author, kind protocol.Kind, body any, parents []protocol.ID, carried ...*protocol.Record) (*protocol.Record, error) {
	h := protocol.Header{
		Metastate: t.metastate, Kind: kind, Persona: a.persona, Key: a.device.Public(), Seq: a.seq, Prev: a.prev,
		Parents: parents, Checkpoint: t.ref, Time: t.at.Unix(),
	}
	if len(parents) == 0 && !a.prev.IsZero() {
		h.Parents = []protocol.ID{a.prev}
	}
	r, err := protocol.Sign(h, body, carried, a.device)
	if err == nil {
		a.seq, a.prev = a.seq+1, r.ID()
	}
	return r, err
}

// invite opens the gate for as many as one invite can let in.
func (t *town) invite() (*protocol.Record, error) {
	return t.write(t.founder, protocol.Invite, roll.InviteBody{
		Key: t.gate.Public(), Uses: charter.MaxUses, Expires: t.at.Unix() + charter.MaxAge,
	}, []protocol.ID{t.metastate})
}

// admit makes n people members under an invite: hosts admit them in turn, each
// in its own chain.
func (t *town) admit(n int, invite protocol.ID, hosts []*author) ([]*protocol.Record, error) {
	records, people := make([]*protocol.Record, n), make([]*author, n)
	first := len(t.members)
	err := inParallel(min(len(hosts), n), func(at int) error {
		for i := at; i < n; i += len(hosts) {
			p, err := t.apply(t.gate, fmt.Sprintf("Member %d", first+i))
			if err != nil {
				return err
			}
			people[i] = p.author
			var parents []protocol.ID
			if hosts[at].prev.IsZero() {
				parents = []protocol.ID{invite}
			}
			body := roll.AdmitBody{Persona: p.persona, Invite: invite}
			if records[i], err = t.write(hosts[at], protocol.Admit, body, parents, p.inception, p.grant); err != nil {
				return err
			}
		}
		return nil
	})
	t.members = append(t.members, people...)
	return records, err
}

// vote makes an author's ballot in a poll; seq counts the author's ballots in
// it from 0.
func (t *town) vote(a *author, poll protocol.ID, seq uint64, choice int) (*protocol.Record, error) {
	return protocol.Sign(protocol.Header{
		Metastate: t.metastate, Kind: protocol.Ballot, Persona: a.persona, Key: a.device.Public(), Seq: seq,
		Subject: poll, Checkpoint: t.ref, Time: t.at.Unix(),
	}, ballot(choice), nil, a.device)
}

// question is a proposal that stays open for as long as any measurement takes.
func question(i int) decision.ProposeBody {
	return decision.ProposeBody{
		Title: fmt.Sprintf("Question %d", i), Text: "Shall the hall be open on Sundays, from ten to four?",
		Method: "yes-no", Class: "ordinary", Voting: 30 * 24 * 60 * 60,
	}
}

func ballot(i int) decision.BallotBody {
	return decision.BallotBody{Choice: [...]string{"yes", "no", "abstain"}[i%3]}
}

// newKey is a fresh random key.
func newKey() identity.SigningKey { return identity.GenerateSigningKey() }

// numbered is an id of something that nobody looks up.
func numbered(what string, i int) protocol.ID {
	return protocol.Sum(fmt.Appendf(nil, "%s %d", what, i))
}

func sorted(ids ...protocol.ID) []protocol.ID {
	slices.SortFunc(ids, protocol.ID.Compare)
	return ids
}

// inParallel calls f for 0 to n-1 on all processors.
func inParallel(n int, f func(i int) error) error {
	workers := min(runtime.NumCPU(), n)
	errs := make([]error, workers)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := w; i < n && errs[w] == nil; i += workers {
				errs[w] = f(i)
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}
