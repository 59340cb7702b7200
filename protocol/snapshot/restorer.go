package snapshot

import (
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/abroad"
	"github.com/metastate-p2p/metastate/protocol/certificate"
	"github.com/metastate-p2p/metastate/protocol/checkpoint"
	"github.com/metastate-p2p/metastate/protocol/decision"
	"github.com/metastate-p2p/metastate/protocol/merkle"
	"github.com/metastate-p2p/metastate/protocol/roll"
	"github.com/metastate-p2p/metastate/protocol/state"
)

var (
	// ErrUnwanted is wrapped when something is offered that is not missing and
	// never was. It may have been asked for elsewhere; nobody is at fault.
	ErrUnwanted = errors.New("not a part of the snapshot")
	// ErrMissing is wrapped when a restorer is finished too early.
	ErrMissing = errors.New("parts of the snapshot are missing")
)

// A Refused error says that a chunk or record is not what its name says.
// Whoever sent it is at fault.
type Refused struct {
	Name protocol.ID
	Err  error
}

func (r *Refused) Error() string { return fmt.Sprintf("snapshot: refused %s: %v", r.Name, r.Err) }

// Unwrap is what is wrong with it.
func (r *Refused) Unwrap() error { return r.Err }

// A Restorer collects the parts of one snapshot, in any order and from
// anybody. It is for one goroutine at a time.
type Restorer struct {
	genesis  *protocol.Record
	cert     certificate.Certificate
	value    certificate.Value
	manifest manifest
	chunks   map[protocol.ID][]byte           // nil: missing
	records  map[protocol.ID]*protocol.Record // nil: missing
	order    []protocol.ID                    // of records, rising
	missing  int                              // chunks and records that are
	complete bool                             // records has all names
	failed   error                            // the manifest is bad
}

// Open begins to restore a snapshot. The chain says which clerks sign; it must
// not lead beyond the snapshot. The manifest is verified against the snapshot's
// certificate, as far as it can be before there are chunks. It keeps the
// manifest's bytes. Errors wrap [ErrManifest], [ErrChain] or those of
// certificates.
func Open(genesis *protocol.Record, chain *Chain, b []byte) (*Restorer, error) {
	r, err := open(genesis, chain, b)
	if err != nil {
		return nil, fmt.Errorf("snapshot: opening: %w", err)
	}
	return r, nil
}

func open(genesis *protocol.Record, chain *Chain, b []byte) (*Restorer, error) {
	m, err := parseManifest(b)
	if err != nil {
		return nil, err
	}
	r := &Restorer{
		genesis: genesis, manifest: m,
		chunks: map[protocol.ID][]byte{}, records: map[protocol.ID]*protocol.Record{},
	}
	if chain.metastate != genesis.ID() {
		return nil, fmt.Errorf("%w: the chain is another metastate's", ErrChain)
	}
	if r.cert, r.value, err = chain.verify(m.certificate); err != nil {
		return nil, err
	}
	if err := r.checkFixed(); err != nil {
		return nil, err
	}
	for _, t := range m.trees {
		for _, name := range t.parts {
			r.chunks[name] = nil
		}
	}
	r.missing = len(r.chunks)
	return r, r.derive()
}

// checkFixed checks what the value and its state root say directly.
func (r *Restorer) checkFixed() error {
	m := r.manifest
	if protocol.Sum(m.sections) != r.value.StateRoot {
		return fmt.Errorf("%w: sections of another state", ErrManifest)
	}
	s, err := state.ParseSections(m.sections)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrManifest, err)
	}
	if protocol.Sum(m.charter) != s.Charter || protocol.Sum(m.offices) != s.Roll.Offices {
		return fmt.Errorf("%w: another charter, or other offices", ErrManifest)
	}
	want := [][32]byte{
		s.Roll.Members, s.Roll.Devices, s.Roll.Invites, s.Roll.Motions, s.Firsts, s.Polls, s.Said, s.Boards,
		s.Abroad.Known, s.Abroad.Claims, s.Abroad.Pacts, r.value.Control.Digest,
	}
	if len(m.trees) < len(want) {
		return fmt.Errorf("%w: trees are missing", ErrManifest)
	}
	for i, t := range m.trees {
		root, err := t.root()
		if err != nil {
			return err
		}
		if i < len(want) && (t.kind != members+kind(i) || root != want[i]) { // kinds rise, so the rest are later ones
			return fmt.Errorf("%w: tree %d is not the state's", ErrManifest, t.kind)
		}
	}
	return nil
}

// Ref is the checkpoint that is restored.
func (r *Restorer) Ref() protocol.Ref { return protocol.Ref{Height: r.value.Height, ID: r.cert.ID()} }

// Certificate is that of the checkpoint that is restored.
func (r *Restorer) Certificate() certificate.Certificate { return r.cert }

// Missing are the names of what is missing, as far as they are known: chunks in
// the best order to ask for them, then records. It is empty once all is there.
func (r *Restorer) Missing() (names []protocol.ID) {
	add := func(t tree) {
		for _, name := range t.parts {
			if r.chunks[name] == nil {
				names = append(names, name)
			}
		}
	}
	// These say what the manifest must have, so that a bad one is found early.
	for _, k := range []kind{polls, motions} {
		add(r.tree(k))
	}
	for _, t := range r.manifest.trees {
		if t.kind != polls && t.kind != motions {
			add(t)
		}
	}
	for _, name := range r.order {
		if r.records[name] == nil {
			names = append(names, name)
		}
	}
	return names
}

// Whole reports whether all is there.
func (r *Restorer) Whole() bool { return r.complete && r.missing == 0 }

// Add takes a chunk or record, whose bytes it keeps. What it has already it
// passes over. Errors are a [*Refused], or wrap [ErrUnwanted] or, if what came
// shows that the manifest was made up, [ErrManifest]; then nothing more helps.
func (r *Restorer) Add(name protocol.ID, b []byte) error {
	if r.failed != nil {
		return r.failed
	}
	if have, ok := r.records[name]; ok {
		if have != nil {
			return nil
		}
		rec, err := protocol.Parse(b)
		if err != nil {
			return &Refused{name, err}
		}
		return r.AddRecord(name, rec)
	}
	have, wanted := r.chunks[name]
	if !wanted {
		return fmt.Errorf("snapshot: %s: %w", name, ErrUnwanted)
	}
	if have != nil {
		return nil
	}
	if err := checkChunk(name, b); err != nil {
		return &Refused{name, err}
	}
	r.chunks[name] = b
	r.missing--
	if !r.complete {
		r.failed = r.derive()
	}
	return r.failed
}

// NamesRecord reports whether a name is of a record that is a part.
func (r *Restorer) NamesRecord(name protocol.ID) bool {
	_, ok := r.records[name]
	return ok
}

// AddRecord is [Restorer.Add] of a record that was parsed together with others.
func (r *Restorer) AddRecord(name protocol.ID, rec *protocol.Record) error {
	have, wanted := r.records[name]
	switch {
	case !wanted:
		return fmt.Errorf("snapshot: %s: %w", name, ErrUnwanted)
	case rec.ID() != name:
		return &Refused{name, errors.New("another record")}
	case have == nil:
		r.records[name] = rec
		r.missing--
	}
	return nil
}

// tree is the one tree of a kind up to lastFixed.
func (r *Restorer) tree(k kind) tree { return r.manifest.trees[k-members] }

func (r *Restorer) has(t tree) bool {
	return !slices.ContainsFunc(t.parts, func(d [32]byte) bool { return r.chunks[d] == nil })
}

// leaves yields all leaves of a tree whose chunks are there.
func (r *Restorer) leaves(t tree) iter.Seq2[[32]byte, []byte] {
	return func(yield func([32]byte, []byte) bool) {
		for _, d := range t.parts {
			for key, value := range leaves(r.chunks[d]) {
				if !yield(key, value) {
					return
				}
			}
		}
	}
}

// derive finds, once polls and motions are there, which records are needed, and
// that the manifest has the trees that the polls name and no others.
func (r *Restorer) derive() error {
	if !r.has(r.tree(polls)) || !r.has(r.tree(motions)) {
		return nil
	}
	for act := range r.leaves(r.tree(motions)) {
		r.records[act] = nil
	}
	fits := 0
	for id, leaf := range r.leaves(r.tree(polls)) {
		n, err := decision.LeafNeeds(id, leaf)
		if err != nil {
			return fmt.Errorf("snapshot: %w: poll %s: %w", ErrManifest, protocol.ID(id), err)
		}
		if !n.Version.IsZero() {
			r.records[n.Version] = nil
		}
		for k, want := range map[kind][32]byte{ballots: n.Ballots, covered: n.Covered} {
			t, has := r.find(k, id)
			root, _ := t.root() // that of none is zero, and checked already
			if root != want {
				return fmt.Errorf("snapshot: %w: poll %s has other ballots", ErrManifest, protocol.ID(id))
			}
			if has {
				fits++
			}
		}
	}
	if fits != len(r.manifest.trees)-int(lastFixed) {
		return fmt.Errorf("snapshot: %w: trees of what is no poll", ErrManifest)
	}
	r.complete = true
	r.order = slices.SortedFunc(maps.Keys(r.records), protocol.ID.Compare)
	r.missing += len(r.records)
	return nil
}

// find is the tree of a kind and name, if there is one.
func (r *Restorer) find(k kind, name protocol.ID) (t tree, ok bool) {
	i, ok := slices.BinarySearchFunc(r.manifest.trees, tree{kind: k, name: name}, tree.compare)
	if !ok {
		return tree{}, false
	}
	return r.manifest.trees[i], true
}

// Finish makes the tip, which goes on as the one that the snapshot was taken of.
// Errors wrap [ErrMissing] or [ErrManifest].
func (r *Restorer) Finish() (checkpoint.Tip, error) {
	if r.failed != nil {
		return checkpoint.Tip{}, r.failed
	}
	if !r.Whole() {
		return checkpoint.Tip{}, fmt.Errorf("snapshot: finishing: %w: %d", ErrMissing, r.missing)
	}
	tip, err := r.finish()
	if err != nil {
		return checkpoint.Tip{}, fmt.Errorf("snapshot: finishing: %w: %w", ErrManifest, err)
	}
	return tip, nil
}

func (r *Restorer) finish() (tip checkpoint.Tip, err error) {
	record := func(id protocol.ID) *protocol.Record { return r.records[id] }
	s, err := state.Restore(state.Leaves{
		Genesis: r.genesis, Sections: r.manifest.sections, Charter: r.manifest.charter,
		Roll: roll.Leaves{
			Members: r.leaves(r.tree(members)), Devices: r.leaves(r.tree(devices)),
			Invites: r.leaves(r.tree(invites)), Motions: r.leaves(r.tree(motions)),
			Offices: r.manifest.offices, Act: record,
		},
		Abroad: abroad.Leaves{Known: r.leaves(r.tree(known)), Claims: r.leaves(r.tree(claims)), Pacts: r.leaves(r.tree(pacts))},
		Decisions: decision.Leaves{
			Polls: r.leaves(r.tree(polls)), Firsts: r.leaves(r.tree(firsts)), Said: r.leaves(r.tree(said)), Committees: r.leaves(r.tree(boards)), Version: record,
			Ballots: func(poll protocol.ID) iter.Seq2[[32]byte, []byte] {
				t, _ := r.find(ballots, poll)
				return r.leaves(t)
			},
			Covered: func(poll protocol.ID) (merkle.Set, error) {
				t, _ := r.find(covered, poll)
				return r.set(t)
			},
		},
	})
	if err != nil {
		return tip, err
	}
	covers, err := r.set(r.tree(control))
	if err != nil {
		return tip, err
	}
	return checkpoint.Restore(r.cert, s, covers)
}

func (r *Restorer) set(t tree) (merkle.Set, error) {
	return merkle.SetFromSorted(func(yield func([32]byte) bool) {
		for key := range r.leaves(t) {
			if !yield(key) {
				return
			}
		}
	})
}
