package bench

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/audit"
	"github.com/metastate-p2p/metastate/protocol/bundle"
	"github.com/metastate-p2p/metastate/protocol/charter"
	"github.com/metastate-p2p/metastate/protocol/checkpoint"
	"github.com/metastate-p2p/metastate/protocol/dagcbor"
	"github.com/metastate-p2p/metastate/protocol/decision"
	"github.com/metastate-p2p/metastate/protocol/decision/committee"
	"github.com/metastate-p2p/metastate/protocol/decision/secret"
	"github.com/metastate-p2p/metastate/protocol/decision/secret/keygen"
	"github.com/metastate-p2p/metastate/protocol/roll"
)

// trustees make the key that ballots are for: two of them may be dishonest, and
// three open a sum.
const trustees = 7

// An election is a metastate with its whole history from the genesis on, in which
// one secret vote was held.
type election struct {
	*growing
	certs   [][]byte
	records [][]byte
	ids     []protocol.ID
	seeds   [trustees][32]byte
	poll    protocol.ID
	chosen  []uint64 // what the ballots say of each option
	file    []byte   // the history as a bundle
}

// hold makes a metastate of n members, all of whom vote in secret on five options,
// and the vote's opening.
func hold(ctx context.Context, n int) (*election, error) {
	e := &election{chosen: make([]uint64, options)}
	device := newKey()
	_, err := foundBy(device, time.Now(), func(g *growing) error {
		e.growing = g
		return nil
	}, func(founding identity.Signer, before checkpoint.Tip, next checkpoint.Next, records []*protocol.Record) error {
		return e.store(founding, device, before, next, records)
	})
	if err != nil {
		return nil, err
	}
	for _, step := range []func(context.Context, int) error{e.gather, e.ask, e.makeKey, e.ballots, e.open} {
		if err := step(ctx, n); err != nil {
			return nil, err
		}
	}
	e.file, err = e.pack()
	return e, err
}

// store certifies a checkpoint and keeps it.
func (e *election) store(founding, device identity.Signer, before checkpoint.Tip, next checkpoint.Next, records []*protocol.Record) error {
	signer := device
	height := next.Tip.Ref().Height
	if height == 1 {
		signer = founding
	}
	cert, err := checkpoint.DecideAlone(checkpoint.Config{
		Metastate: e.metastate, Height: height, Prev: before.Ref().ID, Clerks: before.Clerks(), Signer: signer,
	}, next.Encoded)
	if err != nil {
		return err
	}
	e.certs = append(e.certs, dagcbor.Encode(struct { // SPEC §9.2
		Certificate []byte   `cbor:"certificate"`
		Chunks      [][]byte `cbor:"chunks"`
	}{cert.Encode(), append([][]byte{}, next.Chunks...)}))
	for _, r := range records {
		e.records, e.ids = append(e.records, r.Inner()), append(e.ids, r.ID())
	}
	return nil
}

// gather admits n members, and makes seven of them trustees.
func (e *election) gather(ctx context.Context, n int) error {
	for len(e.members) < n {
		hosts := max(1, min(mostHosts, len(e.members)/2))
		list, err := e.welcome(min(n-len(e.members), hosts*(protocol.QuotaPerCheckpoint-2)))
		if err := cmp.Or(ctx.Err(), err); err != nil {
			return err
		}
		e.at = e.at.Add(time.Second)
		if err := e.cover(list...); err != nil {
			return err
		}
	}
	var ids []protocol.ID
	for i, m := range e.members[:trustees] {
		ids, e.seeds[i] = append(ids, m.persona), newSeed()
	}
	return e.say(e.founder, protocol.Appoint, roll.AppointBody{Office: charter.OfficeTrustee, Personas: sorted(ids...)})
}

// say makes a record and a checkpoint of it a second later.
func (e *election) say(by *author, kind protocol.Kind, body any) error {
	r, err := e.record(by, kind, body)
	if err != nil {
		return err
	}
	e.at = e.at.Add(time.Second)
	return e.cover(r)
}

func (e *election) record(by *author, kind protocol.Kind, body any) (*protocol.Record, error) {
	var parents []protocol.ID
	if by.prev.IsZero() {
		parents = []protocol.ID{e.metastate}
	}
	return e.write(by, kind, body, parents)
}

func (e *election) ask(context.Context, int) error {
	body := question(0)
	body.Method, body.Options, body.Secret = "plurality", optionNames(options), decision.SecretBody{Least: 1}
	r, err := e.record(e.founder, protocol.Propose, body)
	if err != nil {
		return err
	}
	e.poll = r.ID()
	return e.cover(r)
}

func (e *election) now() (*decision.Poll, *committee.Committee) {
	d := e.tip.State().Decisions()
	p := d.Poll(e.poll)
	return p, d.Committee(p.Secret.Committee)
}

// trustee is a member's part in the committee.
func (e *election) trustee(i int, c *committee.Committee) (*keygen.Trustee, error) {
	return keygen.NewTrustee(c.Kind(), c.Number(e.members[i].persona), &e.seeds[i])
}

// makeKey has all trustees say what each stage asks for.
func (e *election) makeKey(context.Context, int) error {
	for range 4 {
		_, c := e.now()
		var list []*protocol.Record
		for i := range trustees {
			t, err := e.trustee(i, c)
			if err != nil {
				return err
			}
			body := decision.TrusteeBody{Committee: c.ID, Stage: c.Stage}
			switch c.Stage {
			case committee.Announce:
				body.Message = t.Announce().Bytes()
			case committee.Commit, committee.Deal:
				d, err := t.Deal(c.Roster())
				if err != nil {
					return err
				}
				if body.Message = d.Bytes(); c.Stage == committee.Commit {
					body.Message = d.Commitment().Bytes()
				}
			}
			r, err := e.record(e.members[i], protocol.Trustee, body)
			if err != nil {
				return err
			}
			list = append(list, r)
		}
		e.at = e.at.Add(time.Second)
		if err := e.cover(list...); err != nil {
			return err
		}
	}
	if p, c := e.now(); p.Phase != decision.Voting {
		return fmt.Errorf("the trustees are at %q, the vote in %s", c.Stage, p.Phase)
	}
	return nil
}

// ballots has everybody vote.
func (e *election) ballots(ctx context.Context, n int) error {
	p, _ := e.now()
	const wave = 2000
	for from := 0; from < n; from += wave {
		list := make([]*protocol.Record, min(wave, n-from))
		for i := range list {
			e.chosen[(from+i)%7%options]++
		}
		err := inParallel(len(list), func(i int) error {
			a, marks, seed := e.members[from+i], make([]uint8, options), newSeed()
			marks[(from+i)%7%options] = 1
			body, _, err := p.Secret.Election().Encrypt(secret.Voter{ID: a.persona}, marks, &seed)
			if err := cmp.Or(ctx.Err(), err); err != nil {
				return err
			}
			list[i], err = protocol.Sign(protocol.Header{
				Metastate: e.metastate, Kind: protocol.Ballot, Persona: a.persona, Key: a.device.Public(),
				Subject: e.poll, Checkpoint: e.ref, Time: e.at.Unix(),
			}, decision.BallotBody{Ballot: body}, nil, a.device)
			if err == nil {
				p.CheckBallot(list[i]) // remembered with the record
			}
			return err
		})
		if err != nil {
			return err
		}
		e.at = e.at.Add(time.Second)
		if err := e.cover(list...); err != nil {
			return err
		}
	}
	return nil
}

// open has the vote close, all trustees acknowledge it, and as many as are needed
// give their shares.
func (e *election) open(context.Context, int) error {
	e.at = e.at.Add(31 * 24 * time.Hour)
	if err := e.settle(); err != nil {
		return err
	}
	p, _ := e.now()
	sealed := p.Sealed().Set
	for i := range trustees {
		if err := e.say(e.members[i], protocol.Open, decision.OpenBody{Proposal: e.poll, Set: sealed[:]}); err != nil {
			return err
		}
	}
	p, c := e.now()
	for i := range c.Kind().K() {
		t, err := e.trustee(i, c)
		if err != nil {
			return err
		}
		x, err := t.Share(c.Keys())
		if err != nil {
			return err
		}
		seed := newSeed()
		share, err := p.Secret.Election().Decrypt(x, p.Sealed(), &seed)
		if err != nil {
			return err
		}
		if err := e.say(e.members[i], protocol.Open, decision.OpenBody{Proposal: e.poll, Share: share}); err != nil {
			return err
		}
	}
	return nil
}

// pack writes the history as a bundle.
func (e *election) pack() ([]byte, error) {
	var out bytes.Buffer
	w, err := bundle.NewWriter(&out, bundle.Manifest{
		Metastate: e.metastate, Records: uint64(len(e.records)), Certificates: uint64(len(e.certs)), Digest: bundle.Digest(slices.Values(e.ids)),
	})
	if err != nil {
		return nil, err
	}
	for i, b := range e.certs {
		if err := w.Certificate(uint64(i+1), b); err != nil {
			return nil, err
		}
	}
	for _, inner := range e.records {
		if err := w.Record(inner); err != nil {
			return nil, err
		}
	}
	err = w.Close()
	e.certs, e.records, e.ids = nil, nil, nil
	return out.Bytes(), err
}

// audit checks the vote from the file alone, on all processors.
func (e *election) audit() error {
	src, err := bundle.NewReader(bytes.NewReader(e.file))
	if err != nil {
		return err
	}
	report, err := audit.Run(src, audit.Config{Proposal: e.poll, Metastate: e.metastate, Each: func(n int, do func(int)) {
		_ = inParallel(n, func(i int) error { // which never fails
			do(i)
			return nil
		})
	}})
	if err != nil {
		return err
	}
	if f := report.Fault(); f != nil {
		return fmt.Errorf("the step %s fails: %s", f.Name, f.Detail)
	}
	for i, v := range report.Result.Votes {
		if v.N != e.chosen[i] {
			return errCount
		}
	}
	return nil
}
