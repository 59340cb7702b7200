package snapshot

import (
	"errors"
	"fmt"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/checkpoint"
	"github.com/metastate-p2p/metastate/protocol/decision"
	"github.com/metastate-p2p/metastate/protocol/merkle"
)

// A Source is what a writer of snapshots holds besides the tip.
type Source interface {
	// Record is the inner form of a covered record.
	Record(id protocol.ID) ([]byte, error)
	// Certificate is that of a final checkpoint.
	Certificate(height uint64) ([]byte, error)
}

// ErrNone is wrapped when a snapshot has nothing of that name.
var ErrNone = errors.New("the snapshot has nothing of that name")

// A Snapshot is one that can be served: the manifest, and everything it leads
// to by name. It is immutable, keeps the tip that it was taken of, and makes
// chunks when asked.
type Snapshot struct {
	manifest []byte
	ref      protocol.Ref
	chunks   map[protocol.ID]place
	records  map[protocol.ID]bool
	src      Source
	limit    int // bytes of a chunk's leaves
}

// place is where a chunk's leaves are.
type place struct {
	tree merkle.Tree
	part merkle.Part
}

// Make takes a snapshot of a tip. Nodes at one checkpoint make chunks of the
// same names, so that one may be had from each.
func Make(tip checkpoint.Tip, src Source) (*Snapshot, error) {
	return take(tip, src, MaxChunk-chunkRoom)
}

// take makes a snapshot whose chunks have leaves that weigh up to limit.
func take(tip checkpoint.Tip, src Source, limit int) (*Snapshot, error) {
	ref := tip.Ref()
	s := &Snapshot{
		ref: ref, src: src, limit: limit, chunks: map[protocol.ID]place{}, records: map[protocol.ID]bool{},
	}
	fail := func(err error) (*Snapshot, error) {
		return nil, fmt.Errorf("snapshot: making one of height %d: %w", ref.Height, err)
	}
	cert, err := src.Certificate(ref.Height)
	if err != nil {
		return fail(err)
	}
	value, err := valueOf(cert)
	if err != nil {
		return fail(err)
	}
	if protocol.Sum(value.encoded) != ref.ID {
		return fail(errors.New("its certificate is another's"))
	}
	r := tip.State().Roll().Trees()
	pollTree, firstTree := tip.State().Decisions().Trees()
	m := manifest{
		certificate: cert, charter: tip.State().CharterBytes(), offices: r.Offices, sections: tip.State().Sections(),
	}
	for i, t := range []merkle.Tree{r.Members, r.Devices, r.Invites, r.Motions, firstTree, pollTree, tip.Covered(protocol.ID{})} {
		m.trees = append(m.trees, s.cut(members+kind(i), protocol.ID{}, t))
	}
	open := s.subjects(tip, &m)
	for act := range tip.State().Roll().Motions() {
		s.records[act] = true
	}
	if m.witnesses, err = witnesses(value.Value, open, src); err != nil {
		return fail(err)
	}
	if s.manifest = m.encode(); len(s.manifest) > MaxManifest || len(m.trees) > maxTrees {
		return fail(errors.New("its manifest is over the cap"))
	}
	return s, nil
}

// Ref is the checkpoint that the snapshot is of.
func (s *Snapshot) Ref() protocol.Ref { return s.ref }

// Manifest is what a reader begins with. It must not be changed.
func (s *Snapshot) Manifest() []byte { return s.manifest }

// Get makes the chunk, or fetches the record, of a name that a [Restorer]
// misses. The error wraps [ErrNone] if there is none.
func (s *Snapshot) Get(name protocol.ID) ([]byte, error) {
	if at, ok := s.chunks[name]; ok {
		return makeChunk(at.tree, at.part), nil
	}
	if !s.records[name] {
		return nil, fmt.Errorf("snapshot: %s: %w", name, ErrNone)
	}
	b, err := s.src.Record(name)
	if err != nil {
		return nil, fmt.Errorf("snapshot: record %s: %w", name, err)
	}
	return b, nil
}

// cut divides a tree and notes where its chunks are.
func (s *Snapshot) cut(k kind, name protocol.ID, t merkle.Tree) tree {
	parts, joints := t.Cut(s.limit)
	out := tree{kind: k, name: name, joints: joints, parts: make([][32]byte, len(parts))}
	for i, p := range parts {
		out.parts[i] = p.Digest
		s.chunks[p.Digest] = place{t, p}
	}
	return out
}

// subjects cuts the ballots of all polls and the covered sets of those that
// are open, and returns the latter.
func (s *Snapshot) subjects(tip checkpoint.Tip, m *manifest) map[protocol.ID]merkle.Set {
	open := map[protocol.ID]merkle.Set{}
	for p := range tip.State().Decisions().Polls() {
		if p.Ballots.Len() > 0 {
			m.trees = append(m.trees, s.cut(ballots, p.Proposal, p.Ballots))
		}
		if set := tip.Covered(p.Proposal); p.Phase == decision.Voting && set.Len() > 0 {
			open[p.Proposal] = set
		}
		if p.Undecided() {
			s.records[p.Proposal] = true
		}
	}
	for p := range tip.State().Decisions().Polls() { // in order
		if set, ok := open[p.Proposal]; ok {
			m.trees = append(m.trees, s.cut(covered, p.Proposal, set))
		}
	}
	return open
}

// witnesses are the certificates whose values last touched the open subjects
// that v does not touch, by rising height.
func witnesses(v checkpoint.Value, open map[protocol.ID]merkle.Set, src Source) (list [][]byte, err error) {
	take := func(v checkpoint.Value) (took bool, err error) {
		for _, s := range v.Subjects {
			set, ok := open[s.Subject]
			if !ok {
				continue
			}
			if set.Root() != s.Digest {
				return false, fmt.Errorf("height %d covers another set of subject %s", v.Height, s.Subject)
			}
			delete(open, s.Subject)
			took = true
		}
		return took, nil
	}
	if _, err := take(v); err != nil {
		return nil, err
	}
	for h := v.Height - 1; len(open) > 0; h-- {
		if h == 0 {
			return nil, errors.New("no certificate names the covered set of an open subject")
		}
		cert, err := src.Certificate(h)
		if err != nil {
			return nil, err
		}
		x, err := valueOf(cert)
		if err != nil {
			return nil, err
		}
		took, err := take(x.Value)
		if err != nil {
			return nil, err
		}
		if took {
			list = append([][]byte{cert}, list...)
		}
	}
	if len(list) > maxWitnesses {
		return nil, fmt.Errorf("open subjects were last touched by over %d checkpoints", maxWitnesses)
	}
	return list, nil
}

type namedValue struct {
	checkpoint.Value
	encoded []byte
}

func valueOf(cert []byte) (v namedValue, err error) {
	c, err := checkpoint.ParseCertificate(cert)
	if err != nil {
		return v, err
	}
	v.encoded = c.Value
	v.Value, err = checkpoint.ParseValue(c.Value)
	return v, err
}
