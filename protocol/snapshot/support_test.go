package snapshot_test

import (
	"encoding/binary"
	"errors"
	"maps"
	"slices"
	"testing"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/certificate"
	"github.com/metastate-p2p/metastate/protocol/charter"
	"github.com/metastate-p2p/metastate/protocol/checkpoint"
	"github.com/metastate-p2p/metastate/protocol/decision"
	"github.com/metastate-p2p/metastate/protocol/snapshot"
	"github.com/metastate-p2p/metastate/protocol/state/statetest"
)

// A chain is a metastate with its clerks: records come, certified checkpoints
// cover them.
type chain struct {
	testing.TB
	w       *statetest.World
	tip     checkpoint.Tip
	keys    map[identity.PublicKey]identity.Signer // of whoever may be a clerk
	certs   map[uint64][]byte
	records map[protocol.ID][]byte
}

// people are all who ever write, but for newcomers without a name.
var people = []string{"alice", "bob", "carol", "dana", "eve"}

func newChain(tb testing.TB, c charter.Charter, founders ...string) *chain {
	return chainOf(tb, statetest.New(tb, c, founders...), founders...)
}

func chainOf(tb testing.TB, w *statetest.World, founders ...string) *chain {
	tip, err := checkpoint.Begin(w.Genesis)
	if err != nil {
		tb.Fatal(err)
	}
	x := &chain{
		TB: tb, w: w, tip: tip, keys: map[identity.PublicKey]identity.Signer{},
		certs: map[uint64][]byte{}, records: map[protocol.ID][]byte{},
	}
	for _, name := range people {
		for _, label := range []string{"founding/" + name, "device/" + name, "device/" + name + "/2"} {
			k := statetest.Key(label)
			x.keys[k.Public()] = k
		}
	}
	x.cover(statetest.Start, w.Founding(founders...))
	return x
}

// quick is a charter in which every phase of a decision is short.
func quick(tb testing.TB) charter.Charter {
	c := statetest.Charter(tb)
	for i := range c.Classes {
		k := &c.Classes[i]
		k.Discussion, k.Freeze, k.Voting, k.Contest, k.Exit = 0, 0, 3600, 600, 600
	}
	return c
}

// cover makes the next checkpoint of what it can cover of records, and returns
// the rest.
func (c *chain) cover(asOf int64, records []*protocol.Record) (rest []*protocol.Record) {
	c.Helper()
	for _, r := range records {
		c.records[r.ID()] = r.Inner()
	}
	next, err := c.tip.Propose(records, asOf)
	if err != nil {
		c.Fatal(err)
	}
	c.certs[next.Value.Height] = c.certify(c.tip.Clerks(), next.Encoded)
	c.take(next.Tip, records)
	for _, r := range records {
		if !next.Tip.Covers(r) {
			rest = append(rest, r)
		}
	}
	return rest
}

func (c *chain) take(tip checkpoint.Tip, records []*protocol.Record) {
	var covered []*protocol.Record
	for _, r := range records {
		if tip.Covers(r) && !c.tip.Covers(r) {
			covered = append(covered, r)
		}
	}
	c.tip = tip
	c.w.Cover(tip.Ref(), covered...)
}

// certify has all clerks sign a value.
func (c *chain) certify(clerks []certificate.Clerk, value []byte) []byte {
	c.Helper()
	v, err := certificate.ParseValue(value)
	if err != nil {
		c.Fatal(err)
	}
	id := protocol.Sum(value)
	msg := append([]byte("metastate/agree/v1"), v.Metastate[:]...)
	if era := v.Era(); !era.IsZero() {
		msg = append(append([]byte("metastate/agree/recall/v1"), v.Metastate[:]...), era[:]...)
	}
	msg = binary.BigEndian.AppendUint64(append(msg, 3), v.Height)
	msg = append(binary.BigEndian.AppendUint32(msg, 0), id[:]...)
	cert := certificate.Certificate{Value: value}
	for i, k := range clerks {
		signer := c.keys[k.Key]
		if signer == nil {
			c.Fatalf("clerk %s has a key that the test has not", k.Persona)
		}
		cert.Signatures = append(cert.Signatures, certificate.Signature{Clerk: uint8(i), Sig: [64]byte(signer.Sign(msg))})
	}
	return cert.Encode()
}

func (c *chain) record(id protocol.ID) ([]byte, error) {
	if b := c.records[id]; b != nil {
		return b, nil
	}
	return nil, errors.New("not held")
}

// lineage is the chain of handovers from the first checkpoint to the tip.
func (c *chain) lineage() *snapshot.Chain {
	c.Helper()
	var handovers []uint64
	was := c.clerksAfter(1)
	for h := uint64(2); h <= c.tip.Ref().Height; h++ {
		if now := c.clerksAfter(h); !slices.Equal(now, was) {
			handovers, was = append(handovers, h), now
		}
	}
	l, err := c.through(1, handovers...)
	if err != nil {
		c.Fatal(err)
	}
	return l
}

func (c *chain) clerksAfter(height uint64) []certificate.Clerk {
	c.Helper()
	v, err := certificate.ParseValue(c.value(height))
	if err != nil {
		c.Fatal(err)
	}
	return v.Clerks
}

// value is the encoded value of a height.
func (c *chain) value(height uint64) []byte {
	c.Helper()
	cert, err := certificate.ParseCertificate(c.certs[height])
	if err != nil {
		c.Fatal(err)
	}
	return cert.Value
}

func (c *chain) ref(height uint64) protocol.Ref {
	c.Helper()
	return protocol.Ref{Height: height, ID: protocol.Sum(c.value(height))}
}

// through is a chain from a known height through handovers.
func (c *chain) through(known uint64, heights ...uint64) (*snapshot.Chain, error) {
	c.Helper()
	l, err := snapshot.NewChain(c.w.Genesis.ID(), c.ref(known), c.value(known))
	for _, h := range heights {
		if err == nil {
			err = l.Add(c.certs[h])
		}
	}
	return l, err
}

// make takes a snapshot of the tip.
func (c *chain) make() *snapshot.Snapshot {
	c.Helper()
	s, err := snapshot.Make(c.tip, c.certs[c.tip.Ref().Height], c.record)
	if err != nil {
		c.Fatal(err)
	}
	return s
}

// snapshot takes one of small chunks.
func (c *chain) snapshot() *snapshot.Snapshot {
	c.Helper()
	s, err := snapshot.MakeSmall(c.tip, c.certs[c.tip.Ref().Height], c.record, 700)
	if err != nil {
		c.Fatal(err)
	}
	return s
}

func (c *chain) open(s *snapshot.Snapshot) *snapshot.Restorer {
	c.Helper()
	r, err := snapshot.Open(c.w.Genesis, c.lineage(), s.Manifest())
	if err != nil {
		c.Fatal(err)
	}
	return r
}

// fill adds all that is missing, in the order that mix makes of it.
func (c *chain) fill(s *snapshot.Snapshot, r *snapshot.Restorer, mix func([]protocol.ID)) checkpoint.Tip {
	c.Helper()
	for names := r.Missing(); len(names) > 0; names = r.Missing() {
		mix(names)
		for _, name := range names {
			b, err := s.Get(name)
			if err != nil {
				c.Fatal(err)
			}
			if err := r.Add(name, b); err != nil {
				c.Fatal(err)
			}
		}
	}
	tip, err := r.Finish()
	if err != nil {
		c.Fatal(err)
	}
	return tip
}

// parts are all chunks and records of a snapshot.
func (c *chain) parts(s *snapshot.Snapshot) map[protocol.ID][]byte {
	c.Helper()
	r, parts := c.open(s), map[protocol.ID][]byte{}
	for names := r.Missing(); len(names) > 0; names = r.Missing() {
		for _, name := range names {
			b, err := s.Get(name)
			if err == nil {
				err = r.Add(name, b)
			}
			if err != nil {
				c.Fatal(err)
			}
			parts[name] = b
		}
	}
	return parts
}

// rich is a metastate with something of everything that a snapshot has: open
// polls that the last checkpoint touched and did not touch, a closed one, an
// amendment to come, motions, invites, devices.
func rich(tb testing.TB) *chain {
	c := newChain(tb, quick(tb), "alice", "bob", "carol")
	w, at := c.w, int64(statetest.Start)
	door := w.Invite("alice", "door", 50, at+1e6, statetest.How{})
	early := w.Propose("alice", "early", "ordinary", 3600, statetest.How{})
	batch := []*protocol.Record{door, early}
	for i := range 6 {
		batch = append(batch, w.Admit("bob", string(rune('p'+i)), "door", door.ID(), statetest.How{After: batch[:1]}))
	}
	c.cover(at, batch)
	vote := func(p *protocol.Record, names ...string) (list []*protocol.Record) {
		for _, n := range names {
			list = append(list, w.Ballot(n, p.ID(), "yes", statetest.How{}))
		}
		return list
	}
	c.cover(at, vote(early, "alice", "bob", "carol"))
	amend := w.Record("bob", protocol.Propose, amendment(c, 1), statetest.How{})
	open := w.Propose("carol", "open", "ordinary", 1e6, statetest.How{})
	aside := w.Propose("alice", "aside", "ordinary", 1e6, statetest.How{})
	c.cover(at+4000, []*protocol.Record{amend, open, aside})
	c.cover(at+4000, slices.Concat(vote(amend, "alice", "bob"), vote(aside, "alice", "p", "q")))
	c.cover(at+4100, slices.Concat(vote(open, "alice", "bob"), motions(c)))
	return c
}

func motions(c *chain) []*protocol.Record {
	return []*protocol.Record{
		c.w.Record("bob", protocol.Expel, restrict(c, "p"), statetest.How{}),
		c.w.Record("carol", protocol.Recall, recall(c, "alice", "bob"), statetest.How{}),
		c.w.Grant("alice", "alice/2", statetest.How{}),
	}
}

// amendment proposes the charter in force with another limit.
func amendment(c *chain, n int64) decision.ProposeBody {
	now := c.tip.State().Charter()
	next := *now
	next.Suspend = n * 3600
	return decision.ProposeBody{
		Title: "amend", Method: "yes-no", Class: charter.ClassCharter, Voting: 3600,
		Act: &decision.Act{Kind: decision.Amend, Base: now.ID(), Charter: &next},
	}
}

func inOrder([]protocol.ID) {}

func sortedNames(m map[protocol.ID][]byte) []protocol.ID {
	return slices.SortedFunc(maps.Keys(m), protocol.ID.Compare)
}
