package bench

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/identity/vault"
	"github.com/metastate-p2p/metastate/node"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/certificate"
	"github.com/metastate-p2p/metastate/protocol/checkpoint"
	"github.com/metastate-p2p/metastate/store"
)

// A source is a running node that holds a whole community with its history, and
// the keys of all its people.
type source struct {
	*growing
	node    *node.Node
	home    *node.Community
	ballots []cast // of polls that are open
	round   uint64 // the number of the ballots cast last

	count      int // records
	signatures int // of all of them
	sample     []claim
}

// A cast is a ballot that can be cast again.
type cast struct {
	voter *author
	poll  protocol.ID
}

const (
	// sampleSize is about how many signatures the bounds verify in each run: a rate
	// needs no more. They are runs of the history, spread over all of it.
	sampleSize = 1 << 17
	sampleRun  = 8 * batchSize
	// slack is how many seasons more than reckoned a history may take.
	slack = 60
	// recent is how long before its end the last records of a history begin, an
	// hour from checkpoint to checkpoint: their polls are still open.
	recent = 48 * time.Hour
)

// chronicle makes a history of n records that ends now, in the store of a node
// that was its only clerk, and starts that node, for which bulk is.
func chronicle(ctx context.Context, o Options, dir string, n int, bulk func(bool)) (s *source, err error) {
	d := vault.Daily{
		Alias: "Bench", Device: freshSecret(), Member: freshSecret(), Lobby: freshSecret(), StoreKey: freshSecret(),
	}
	seed := [32]byte(d.Device)
	device := identity.NewSigningKey(&seed)
	now := time.Now()
	s = &source{}
	keeper := &archive{source: s, device: device, every: 1 + n*3/2/sampleSize}
	_, err = foundBy(device, now.Add(-time.Duration(seasons(n)+slack)*season), func(g *growing) (err error) {
		s.growing = g
		d.Metastate, d.Persona = identity.Digest(g.metastate), identity.Digest(g.founder.persona)
		keeper.store, err = store.Open(store.Config{
			Dir: filepath.Join(dir, "metastates", hex.EncodeToString(g.metastate[:16])), Key: d.StoreKey[:],
		})
		return err
	}, keeper.keep)
	if err == nil {
		err = s.growTo(ctx, o, n, now)
	}
	if keeper.store != nil {
		epoch := freshSecret()
		err = errors.Join(err, keeper.store.PutPrivate("epoch", epoch[:]), keeper.store.Close())
	}
	if err != nil {
		return nil, err
	}
	o.Progress("starting the node that holds it: it recomputes all of it")
	if s.node, err = openNode(ctx, dir, bulk, vault.Citizenship{Daily: d}); err != nil {
		return nil, err
	}
	if s.home, err = s.node.Community(s.metastate.String()); err == nil {
		if at := s.home.Snapshot(); at.Ref != s.ref || len(at.Open) > 0 {
			err = fmt.Errorf("the node holds checkpoint %d, of which %d was made", at.Ref.Height, s.ref.Height)
		}
	}
	if err != nil {
		return nil, errors.Join(err, s.node.Close())
	}
	return s, nil
}

func freshSecret() vault.Secret { return vault.Secret(identity.GenerateEntropy()) }

// seasons is how many checkpoints a history takes, if each covers what it can.
func seasons(n int) (count int) {
	for covered := 4; covered < n; count++ {
		covered += stride(n, covered)
	}
	return count
}

// growTo makes records until there are n, and what is due until now.
func (s *source) growTo(ctx context.Context, o Options, n int, now time.Time) error {
	last := n - min(n/4, certificate.MaxNewlyCovered)
	for s.covered < n {
		if err := ctx.Err(); err != nil {
			return err
		}
		o.Progress(fmt.Sprintf("making a history: %d of %d records", s.covered, n))
		if s.covered >= last && s.pace == season {
			s.at, s.pace, s.polls = now.Add(-recent), time.Hour, nil
			if err := s.settle(); err != nil {
				return err
			}
		}
		if err := s.grow(stride(n, s.covered)); err != nil {
			return err
		}
	}
	if s.at.After(now) {
		return fmt.Errorf("the history of %d records ends %v from now", n, s.at.Sub(now))
	}
	s.at = now
	if err := s.settle(); err != nil {
		return err
	}
	for _, poll := range s.polls {
		for _, voter := range s.members[:min(s.voted, cmp.Or(o.Diff, usualDiff))] {
			s.ballots = append(s.ballots, cast{voter, poll})
		}
	}
	// Two nodes have the state in memory, and that is what is measured.
	s.tip, s.members, s.sample = checkpoint.Tip{}, nil, slices.Clip(s.sample)
	return nil
}

// An archive keeps a history as a node would, and counts it.
type archive struct {
	*source
	device identity.SigningKey // the clerk's
	store  *store.Store
	every  int // of so many runs of signatures one is kept
}

// keep stores a checkpoint with what it covers.
func (a *archive) keep(founding identity.Signer, before checkpoint.Tip, next checkpoint.Next, records []*protocol.Record) error {
	signer := identity.Signer(a.device)
	height := next.Tip.Ref().Height
	if height == 1 {
		signer = founding
	}
	cert, err := checkpoint.DecideAlone(checkpoint.Config{
		Metastate: a.metastate, Height: height, Prev: before.Ref().ID, Clerks: before.Clerks(), Signer: signer,
	}, next.Encoded)
	if err != nil {
		return err
	}
	if _, err := cert.Verify(a.metastate, certificate.Signers{Clerks: before.Clerks()}); err != nil {
		return err
	}
	b := store.Batch{Checkpoint: &store.Checkpoint{Height: height, Cert: cert.Encode(), Chunks: next.Chunks}}
	for _, r := range records {
		b.Items = append(b.Items, store.Item{ID: r.ID(), Set: r.Header().Subject, Inner: r.Inner()})
		list := claims(nil, r)
		a.signatures += len(list)
		if a.signatures/sampleRun%a.every == 0 {
			a.sample = append(a.sample, list...)
		}
	}
	a.count += len(records)
	return a.store.Commit(b)
}

// revote makes n ballots with a new number.
func (s *source) revote(n int, seq uint64) ([]*protocol.Record, error) {
	s.ref = s.home.Snapshot().Ref
	records := make([]*protocol.Record, n)
	return records, inParallel(n, func(i int) (err error) {
		records[i], err = s.vote(s.ballots[i].voter, s.ballots[i].poll, seq, i)
		return err
	})
}
