package snapshot

import (
	"errors"
	"fmt"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/certificate"
	"github.com/metastate-p2p/metastate/protocol/checkpoint"
	"github.com/metastate-p2p/metastate/protocol/decision"
	"github.com/metastate-p2p/metastate/protocol/merkle"
)

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
	record   func(protocol.ID) ([]byte, error)
	limit    int // bytes of a chunk's leaves
}

// place is where a chunk's leaves are.
type place struct {
	tree merkle.Tree
	part merkle.Part
}

// Make takes a snapshot of a tip, with the tip's certificate. record gives the
// inner forms of covered records. Nodes at one checkpoint make chunks of the
// same names, so that one may be had from each.
func Make(tip checkpoint.Tip, certificate []byte, record func(protocol.ID) ([]byte, error)) (*Snapshot, error) {
	return take(tip, certificate, record, MaxChunk-chunkRoom)
}

// take makes a snapshot whose chunks have leaves that weigh up to limit.
func take(tip checkpoint.Tip, cert []byte, record func(protocol.ID) ([]byte, error), limit int) (*Snapshot, error) {
	ref := tip.Ref()
	s := &Snapshot{
		ref: ref, record: record, limit: limit, chunks: map[protocol.ID]place{}, records: map[protocol.ID]bool{},
	}
	fail := func(err error) (*Snapshot, error) {
		return nil, fmt.Errorf("snapshot: making one of height %d: %w", ref.Height, err)
	}
	c, err := certificate.ParseCertificate(cert)
	if err != nil {
		return fail(err)
	}
	if c.ID() != ref.ID {
		return fail(errors.New("its certificate is another's"))
	}
	r := tip.State().Roll().Trees()
	pollTree, firstTree, saidTree, boardTree := tip.State().Decisions().Trees()
	knownTree, claimTree, pactTree := tip.State().Abroad().Trees()
	m := manifest{
		certificate: cert, charter: tip.State().CharterBytes(), offices: r.Offices, sections: tip.State().Sections(),
	}
	for i, t := range []merkle.Tree{
		r.Members, r.Devices, r.Invites, r.Motions, firstTree, pollTree, saidTree, boardTree, knownTree, claimTree, pactTree, tip.Covered(protocol.ID{}),
	} {
		m.trees = append(m.trees, s.cut(members+kind(i), protocol.ID{}, t))
	}
	s.subjects(tip, &m)
	for act := range tip.State().Roll().Motions() {
		s.records[act] = true
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
	b, err := s.record(name)
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

// subjects cuts the ballots and the covered sets of polls that are open.
func (s *Snapshot) subjects(tip checkpoint.Tip, m *manifest) {
	var open []tree
	for p := range tip.State().Decisions().Polls() { // in order
		if (p.Phase == decision.Voting || p.Phase == decision.Closed) && p.Ballots.Len() > 0 {
			m.trees = append(m.trees, s.cut(ballots, p.Proposal, p.Ballots))
		}
		if !p.Phase.Closed() && p.Covered.Len() > 0 {
			open = append(open, s.cut(covered, p.Proposal, p.Covered))
		}
		if p.Undecided() {
			s.records[p.Version()] = true
		}
	}
	m.trees = append(m.trees, open...)
}
