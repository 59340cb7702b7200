package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/identity/vault"
	"github.com/metastate-p2p/metastate/node"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/bundle"
	"github.com/metastate-p2p/metastate/protocol/charter"
)

// passphrase is that of vaults that are made here and removed again.
const passphrase = "measured and forgotten"

// patience is how long anything may take that a node does by itself.
const patience = 5 * time.Minute

// openNode starts a node that keeps its files in dir and listens on loopback.
func openNode(ctx context.Context, dir string) (*node.Node, error) {
	cheap := vault.Params{MemoryKiB: vault.MinMemoryKiB, Passes: 1, Lanes: 1}
	c := &vault.Contents{Entropy: identity.GenerateEntropy()}
	if err := vault.Create(node.VaultPath(dir), []byte(passphrase), c, cheap); err != nil {
		return nil, err
	}
	return node.Open(ctx, node.Config{
		Dir: dir, Listen: []string{"/ip4/127.0.0.1/tcp/0"},
		Passphrase: func() ([]byte, error) { return []byte(passphrase), nil },
	})
}

// settle waits until ok holds of a community, looking at every change.
func settle(ctx context.Context, c *node.Community, what string, ok func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		changed := c.Changed()
		if ok() {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("waiting until %s: %w", what, ctx.Err())
		}
	}
}

// A source is a running node that holds a whole community, and the keys of all
// its people.
type source struct {
	town
	node    *node.Node
	home    *node.Community
	records []*protocol.Record // but those that the node itself made
	ballots []cast
	round   uint64 // the number of the ballots cast last
}

// A cast is a ballot that can be cast again.
type cast struct {
	voter *author
	poll  protocol.ID
}

// foundSource starts a node and founds a metastate on it. The founder's device
// key is read from the node's vault, as its owner could.
func foundSource(ctx context.Context, dir string) (s *source, err error) {
	rules, err := townCharter()
	if err != nil {
		return nil, err
	}
	n, err := openNode(ctx, dir)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, n.Close())
		}
	}()
	m, err := n.Found(ctx, node.FoundRequest{Name: "Bench", As: "Founder", Charter: string(charter.YAML(rules))})
	if err != nil {
		return nil, err
	}
	home, err := n.Community(m.Metastate.String())
	if err != nil {
		return nil, err
	}
	secrets, err := vault.Open(node.VaultPath(dir), []byte(passphrase))
	if err != nil {
		return nil, err
	}
	defer secrets.Wipe()
	seed := [32]byte(secrets.Citizenships[0].Device)
	s = &source{node: n, home: home, town: town{
		metastate: m.Metastate, at: time.Now(), ref: home.Snapshot().Ref, gate: newKey(),
		founder: &author{persona: m.Persona, device: identity.NewSigningKey(&seed)},
	}}
	return s, nil
}

// Shares of a community's records, and how many control records of one device
// may cite one checkpoint, with some to spare.
const (
	recordsPerMember = 20
	perDevice        = protocol.QuotaPerCheckpoint - 4
	mostMembers      = perDevice * perDevice
)

// populate makes n records, all final at the end: an admission for every
// twentieth, as many proposals as give each member some fifteen to twenty
// votes, and ballots. Members, votes and quotas are what the rules of any
// metastate ask for.
func (s *source) populate(ctx context.Context, n int) error {
	invite, err := s.invite()
	if err != nil {
		return err
	}
	if err := s.take(ctx, []*protocol.Record{invite}); err != nil {
		return err
	}
	members := min(max(2, n/recordsPerMember), mostMembers)
	for hosts := []*author{s.founder}; len(s.members) < members; hosts = s.members[:min(perDevice, len(s.members))] {
		records, err := s.admit(min(members-len(s.members), len(hosts)*perDevice), invite.ID(), hosts)
		if err != nil {
			return err
		}
		if err := s.take(ctx, records); err != nil {
			return err
		}
	}
	return s.decide(ctx, n-1-members)
}

// decide makes n records: proposals, and ballots of every member in each.
func (s *source) decide(ctx context.Context, n int) error {
	polls := make([]*protocol.Record, (n+len(s.members))/(len(s.members)+1))
	for i := range polls {
		var err error
		if polls[i], err = s.write(s.members[i%len(s.members)], protocol.Propose, question(i), s.openingParents(i)); err != nil {
			return err
		}
	}
	if err := s.take(ctx, polls); err != nil {
		return err
	}
	for i := range n - len(polls) {
		s.ballots = append(s.ballots, cast{s.members[i%len(s.members)], polls[i/len(s.members)].ID()})
	}
	records, err := s.revote(len(s.ballots), 0)
	if err != nil {
		return err
	}
	return s.take(ctx, records)
}

// openingParents are the parents of the i-th proposal: none but its author's
// last record, or the genesis if that is the first.
func (s *source) openingParents(i int) []protocol.ID {
	if s.members[i%len(s.members)].prev.IsZero() {
		return []protocol.ID{s.metastate}
	}
	return nil
}

// revote makes the first n ballots with a new number.
func (s *source) revote(n int, seq uint64) ([]*protocol.Record, error) {
	records := make([]*protocol.Record, n)
	return records, inParallel(n, func(i int) (err error) {
		records[i], err = s.vote(s.ballots[i].voter, s.ballots[i].poll, seq, i)
		return err
	})
}

// take brings records into the source as a bundle would, and waits until they
// are final.
func (s *source) take(ctx context.Context, records []*protocol.Record) error {
	if err := bring(ctx, s.home, records); err != nil {
		return err
	}
	s.records = append(s.records, records...)
	err := settle(ctx, s.home, "the records are final", func() bool { return s.home.Status().Provisional == 0 })
	s.ref = s.home.Snapshot().Ref
	return err
}

// bring gives a community records that nobody refuses.
func bring(ctx context.Context, c *node.Community, records []*protocol.Record) error {
	var file bytes.Buffer
	w, err := bundle.NewWriter(&file, bundle.Manifest{
		Metastate: c.ID(), Records: uint64(len(records)), Digest: bundle.Digest(func(yield func(protocol.ID) bool) {
			for _, r := range records {
				if !yield(r.ID()) {
					return
				}
			}
		}),
	})
	if err != nil {
		return err
	}
	for _, r := range records {
		if err := w.Record(r.Inner()); err != nil {
			return err
		}
	}
	if err := w.Close(); err != nil {
		return err
	}
	got, err := c.Import(ctx, &file, false)
	if err == nil && (got.Imported != len(records) || len(got.Refused) > 0) {
		err = fmt.Errorf("of %d records %d were taken in, and these refused: %+v", len(records), got.Imported, got.Refused[:min(3, len(got.Refused))])
	}
	return err
}
