// Package statetest draws the records of a metastate for tests: founders,
// newcomers, devices, votes, with real signatures and named authors. What it
// draws depends on nothing but the calls made, so a test is the same each time.
//
// A device is named by its persona ("dana", the first) or with a name of its
// own ("dana/phone"). Records follow the heads of the last checkpoint and
// their device's last record, and nothing else unless [How] says so: two
// authors' records between two checkpoints are concurrent.
package statetest

import (
	"crypto/sha256"
	"slices"
	"strings"
	"testing"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/abroad"
	"github.com/metastate-p2p/metastate/protocol/charter"
	"github.com/metastate-p2p/metastate/protocol/decision"
	"github.com/metastate-p2p/metastate/protocol/roll"
	"github.com/metastate-p2p/metastate/protocol/state"
)

// Start is the checkpoint time of a world's genesis.
const Start = 1_800_000_000

// A World is a metastate and the people who write in it.
type World struct {
	Genesis *protocol.Record
	Ref     protocol.Ref  // the checkpoint that the next record cites
	Heads   []protocol.ID // of the covered control plane: parents of the next record
	Time    int64         // that the next record claims. It decides nothing, so that what
	// comes out must be the same with another, though every id differs.

	tb       testing.TB
	founding []identity.SigningKey
	people   map[string]*person
	chains   map[string]roll.Chain // of devices
	before   map[string]roll.Chain // the same without the last record
}

type person struct {
	key, next identity.SigningKey
	id        protocol.ID
	chain     roll.Chain
}

// How says in what a record differs from what is usual.
type How struct {
	After   []*protocol.Record // further parents
	Fork    bool               // takes the place of the device's last record
	Seq     uint64             // of a bulk record
	Persona string             // whom it names as author, if not the device's own
	Carried []*protocol.Record
	Ref     protocol.Ref        // the checkpoint it cites, if not the last
	Guard   *identity.Guardians // that an inception or a rotation names
	Rooted  bool                // its only parent is the genesis
	Time    int64               // that it claims, if not the world's
}

// Charter is the club's charter with other members' invites and no waiting,
// for tests to change.
func Charter(tb testing.TB) charter.Charter {
	tb.Helper()
	c, err := charter.Template("club")
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

// New draws a genesis with one founding key for each founder.
func New(tb testing.TB, c charter.Charter, founders ...string) *World {
	tb.Helper()
	return NewFork(tb, c, nil, founders...)
}

// NewFork draws a genesis that names a checkpoint of another metastate, if it is
// not nil.
func NewFork(tb testing.TB, c charter.Charter, parent *abroad.Anchor, founders ...string) *World {
	tb.Helper()
	w := &World{tb: tb, Time: Start, people: map[string]*person{}, chains: map[string]roll.Chain{}, before: map[string]roll.Chain{}}
	for _, f := range founders {
		w.founding = append(w.founding, Key("founding/"+f))
	}
	h := protocol.Header{Kind: protocol.Genesis, Key: w.founding[0].Public(), Time: Start}
	signers := []identity.Signer{w.founding[0]}
	rest := slices.Clone(w.founding[1:])
	slices.SortFunc(rest, func(a, b identity.SigningKey) int { return protocol.ID(a.Public()).Compare(protocol.ID(b.Public())) })
	for _, k := range rest {
		h.Cosigners = append(h.Cosigners, k.Public())
		signers = append(signers, k)
	}
	w.Genesis = w.sign(h, state.GenesisBody{Name: "test", Charter: c, Parent: parent}, nil, signers...)
	w.Heads = []protocol.ID{w.Genesis.ID()}
	return w
}

// Key is the signing key of a label.
func Key(label string) identity.SigningKey {
	seed := sha256.Sum256([]byte(label))
	return identity.NewSigningKey(&seed)
}

// Knows reports whether a person of that name was drawn.
func (w *World) Knows(name string) bool { return w.people[name] != nil }

// Persona is the id of a person who was drawn.
func (w *World) Persona(name string) protocol.ID {
	w.tb.Helper()
	if w.people[name] == nil {
		w.tb.Fatalf("nobody is called %s yet", name)
	}
	return w.people[name].id
}

// Founder draws the inception and first grant of founder n.
func (w *World) Founder(name string, n int) []*protocol.Record {
	return w.begin(name, w.founding[n], nil)
}

// Founding is everything that founds the metastate with these founders.
func (w *World) Founding(founders ...string) []*protocol.Record {
	list := []*protocol.Record{w.Genesis}
	for i, f := range founders {
		list = append(list, w.Founder(f, i)...)
	}
	return list
}

// Newcomer draws the inception and first grant of one who came by an invite,
// named by the label of its key.
func (w *World) Newcomer(name, invite string) []*protocol.Record {
	return w.begin(name, Key("invite/"+invite), nil)
}

func (w *World) begin(name string, cosigner identity.SigningKey, guard *identity.Guardians) []*protocol.Record {
	w.tb.Helper()
	p := &person{key: Key("persona/" + name), next: Key("next/" + name)}
	h := protocol.Header{
		Metastate: w.Genesis.ID(), Kind: protocol.Inception, Key: p.key.Public(), Time: w.Time,
		Cosigners: []identity.PublicKey{cosigner.Public()}, Parents: []protocol.ID{w.Genesis.ID()},
	}
	r := w.sign(h, identity.Inception{Next: identity.Commit(p.next.Public()), Name: name, Guardians: guard}, nil, p.key, cosigner)
	p.id, p.chain = r.ID(), roll.Chain{Next: 1, Head: r.ID()}
	w.people[name] = p
	return []*protocol.Record{r, w.Grant(name, name, How{})}
}

// Grant draws a grant of a device by a person's key, for 180 days.
func (w *World) Grant(name, device string, how How) *protocol.Record {
	w.tb.Helper()
	w.Persona(name)
	p, dev := w.people[name], Key("device/"+device)
	if how.Fork {
		p.chain = w.before["persona/"+name]
	}
	h := protocol.Header{
		Metastate: w.Genesis.ID(), Kind: protocol.Grant, Persona: p.id, Key: p.key.Public(), Time: w.Time,
		Cosigners: []identity.PublicKey{dev.Public()}, Seq: p.chain.Next, Prev: p.chain.Head, Checkpoint: w.Ref,
		// A chain that began inside an admission has no end that could be a parent.
		Parents: w.parents(protocol.ID{}, how),
	}
	r := w.sign(h, identity.Grant{Device: dev.Public(), Expires: Start + identity.DefaultGrantLife}, nil, p.key, dev)
	w.before["persona/"+name] = p.chain
	p.chain = roll.Chain{Next: h.Seq + 1, Head: r.ID()}
	return r
}

// Rotate draws a person's step to the key they committed to.
func (w *World) Rotate(name string, how How) *protocol.Record {
	w.tb.Helper()
	w.Persona(name)
	p := w.people[name]
	was := *p
	after := Key("after/" + protocol.ID(p.next.Public()).String())
	if how.Persona != "" { // a thief of the next key goes another way
		after = Key("thief/" + name)
		how.Persona = ""
	}
	p.key, p.next = p.next, after
	r := w.personaKey(name, protocol.Rotate, roll.RotateBody{Next: identity.Commit(after.Public()), Guardians: how.Guard}, roll.Chain{}, how)
	p.chain = roll.Chain{Next: 1, Head: r.ID()}
	if how.Fork {
		*p = was
	}
	return r
}

// Guardians names guardians of a person, whose salts follow from the names.
func (w *World) Guardians(of string, threshold uint8, delay int64, guardians ...string) *identity.Guardians {
	w.tb.Helper()
	g := &identity.Guardians{Threshold: threshold, Delay: delay}
	for _, name := range guardians {
		g.Hashes = append(g.Hashes, identity.GuardianHash(Salt(of, name), w.Persona(name)))
	}
	slices.SortFunc(g.Hashes, func(a, b identity.Digest) int { return protocol.ID(a).Compare(protocol.ID(b)) })
	return g
}

// Salt is what hides a guardian of a person.
func Salt(of, guardian string) (salt identity.Nonce) {
	h := sha256.Sum256([]byte("salt/" + of + "/" + guardian))
	copy(salt[:], h[:])
	return salt
}

// Heir is a key that guardians can give, by a label.
func Heir(label string) roll.Heir {
	return roll.Heir{Key: Key("heir/" + label).Public(), Next: identity.Commit(Key("heir/next/" + label).Public())}
}

// Inherit makes a person go on with the key that guardians gave.
func (w *World) Inherit(name, label string) {
	w.Persona(name)
	p := w.people[name]
	p.key, p.next, p.chain = Key("heir/"+label), Key("heir/next/"+label), roll.Chain{}
}

// Disown draws the revocation of a device by its persona.
func (w *World) Disown(name string, body roll.RevokeBody, how How) *protocol.Record {
	w.tb.Helper()
	p := w.people[name]
	r := w.personaKey(name, protocol.Revoke, body, p.chain, how)
	p.chain = roll.Chain{Next: r.Header().Seq + 1, Head: r.ID()}
	return r
}

func (w *World) personaKey(name string, kind protocol.Kind, body any, chain roll.Chain, how How) *protocol.Record {
	w.tb.Helper()
	p := w.people[name]
	h := protocol.Header{
		Metastate: w.Genesis.ID(), Kind: kind, Persona: p.id, Key: p.key.Public(), Time: w.Time,
		Seq: chain.Next, Prev: chain.Head, Checkpoint: w.Ref, Parents: w.parents(protocol.ID{}, how),
	}
	return w.sign(h, body, nil, p.key)
}

// Record draws a control record by a device.
func (w *World) Record(device string, kind protocol.Kind, body any, how How) *protocol.Record {
	w.tb.Helper()
	chain := w.chains[device]
	if how.Fork {
		chain = w.before[device]
	}
	h := w.header(device, kind, how)
	h.Seq, h.Prev, h.Parents = chain.Next, chain.Head, w.parents(chain.Head, how)
	r := w.sign(h, body, how.Carried, Key("device/"+device))
	w.before[device] = chain
	w.chains[device] = roll.Chain{Next: h.Seq + 1, Head: r.ID()}
	return r
}

// Bulk draws a record of a subject by a device.
func (w *World) Bulk(device string, kind protocol.Kind, subject protocol.ID, body any, how How) *protocol.Record {
	w.tb.Helper()
	h := w.header(device, kind, how)
	h.Subject, h.Seq = subject, how.Seq
	return w.sign(h, body, nil, Key("device/"+device))
}

func (w *World) header(device string, kind protocol.Kind, how How) protocol.Header {
	w.tb.Helper()
	name, _, _ := strings.Cut(device, "/")
	if how.Persona != "" {
		name = how.Persona
	}
	h := protocol.Header{
		Metastate: w.Genesis.ID(), Kind: kind, Persona: w.Persona(name), Key: Key("device/" + device).Public(),
		Checkpoint: w.Ref, Time: w.Time,
	}
	if how.Ref != (protocol.Ref{}) {
		h.Checkpoint = how.Ref
	}
	if how.Time != 0 {
		h.Time = how.Time
	}
	return h
}

// parents are heads of the last checkpoint, the chain's end and what how adds.
func (w *World) parents(prev protocol.ID, how How) []protocol.ID {
	if how.Rooted {
		return []protocol.ID{w.Genesis.ID()}
	}
	list := slices.Clone(w.Heads[:min(len(w.Heads), protocol.MaxParents-1-len(how.After))])
	if !prev.IsZero() {
		list = append(list, prev)
	}
	for _, r := range how.After {
		list = append(list, r.ID())
	}
	slices.SortFunc(list, protocol.ID.Compare)
	return slices.Compact(list)
}

func (w *World) sign(h protocol.Header, body any, carried []*protocol.Record, keys ...identity.Signer) *protocol.Record {
	w.tb.Helper()
	r, err := protocol.Sign(h, body, carried, keys...)
	if err != nil {
		w.tb.Fatalf("drawing a record: %v", err)
	}
	return r
}

// Invite opens a door whose key has a label.
func (w *World) Invite(by, label string, uses uint64, expires int64, how How) *protocol.Record {
	w.tb.Helper()
	return w.Record(by, protocol.Invite, roll.InviteBody{Key: Key("invite/" + label).Public(), Uses: uses, Expires: expires}, how)
}

// Admit serves a newcomer under an invite.
func (w *World) Admit(by, name, label string, invite protocol.ID, how How) *protocol.Record {
	w.tb.Helper()
	how.Carried = w.begin(name, Key("invite/"+label), how.Guard)
	return w.Record(by, protocol.Admit, roll.AdmitBody{Persona: w.Persona(name), Invite: invite}, how)
}

// Approve admits by name.
func (w *World) Approve(by, name string, how How) *protocol.Record {
	w.tb.Helper()
	return w.Record(by, protocol.Admit, roll.AdmitBody{Persona: w.Persona(name)}, how)
}

// Propose puts a yes-no question.
func (w *World) Propose(by, title, class string, voting int64, how How) *protocol.Record {
	w.tb.Helper()
	return w.Record(by, protocol.Propose, decision.ProposeBody{Title: title, Method: "yes-no", Class: class, Voting: voting}, how)
}

// Ballot votes.
func (w *World) Ballot(by string, poll protocol.ID, choice string, how How) *protocol.Record {
	w.tb.Helper()
	return w.Bulk(by, protocol.Ballot, poll, decision.BallotBody{Choice: choice}, how)
}

// Cover makes records drawn from now on follow a checkpoint over these.
func (w *World) Cover(ref protocol.Ref, records ...*protocol.Record) {
	heads := map[protocol.ID]bool{}
	for _, h := range w.Heads {
		heads[h] = true
	}
	for _, r := range state.Order(records) {
		if r.Plane() == protocol.Bulk {
			continue
		}
		for _, p := range r.Header().Parents {
			delete(heads, p)
		}
		delete(heads, r.Header().Prev)
		heads[r.ID()] = true
	}
	w.Ref, w.Heads = ref, nil
	for h := range heads {
		w.Heads = append(w.Heads, h)
	}
	slices.SortFunc(w.Heads, protocol.ID.Compare)
}
