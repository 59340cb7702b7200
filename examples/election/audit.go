package main

import (
	"fmt"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/certificate"
	"github.com/metastate-p2p/metastate/protocol/checkpoint"
	"github.com/metastate-p2p/metastate/protocol/decision"
)

// audit recomputes the election from bytes, as somebody does who trusts nobody:
// each record is parsed and its signatures verified, each ballot's proof verified,
// each certificate verified under the clerks of its height, each state recomputed;
// with the last of them the sum is opened again from the trustees' shares.
func (t *story) audit() error {
	records, ballots, result, err := t.recompute()
	if err != nil {
		return err
	}
	if result == nil || result.ID() != t.result.ID() {
		return fmt.Errorf("from bytes alone the result is another one")
	}
	t.say("PASS: who begins with bytes alone verifies %d records, %d certificates and %d ballots, opens the same sum, and comes to the same seats.", records, len(t.chain), ballots)
	return nil
}

// recompute answers with how many records and secret ballots it verified, and the
// result.
func (t *story) recompute() (records, ballots int, result *decision.Result, err error) {
	genesis, err := protocol.Parse(t.genesis.Inner())
	if err != nil {
		return 0, 0, nil, err
	}
	tip, err := checkpoint.Begin(genesis)
	if err != nil {
		return 0, 0, nil, err
	}
	for _, f := range t.chain {
		v, recs, err := t.fresh(f, tip)
		if err != nil {
			return records, ballots, nil, err
		}
		var cast []*protocol.Record
		for _, r := range recs {
			if r.Kind() == protocol.Ballot {
				cast = append(cast, r)
			}
		}
		if p := tip.State().Decisions().Poll(t.poll); len(cast) > 0 {
			if bad := prove(p, cast); bad > 0 {
				return records, ballots, nil, fmt.Errorf("%d ballots do not hold", bad)
			}
		}
		next, err := tip.Apply(v, recs)
		if err != nil {
			return records, ballots, nil, err
		}
		tip, records, ballots = next.Tip, records+len(recs), ballots+len(cast)
	}
	if got, want := tip.State().Root(), t.clerks[0].at.tip.State().Root(); got != want {
		return records, ballots, nil, fmt.Errorf("from bytes alone the state root is %x, the clerks have %x", got, want)
	}
	return records, ballots, tip.State().Decisions().Poll(t.poll).Result, nil
}

// fresh is what a checkpoint certifies, and its records, parsed from their bytes.
func (t *story) fresh(f *final, before checkpoint.Tip) (v certificate.Value, recs []*protocol.Record, err error) {
	if v, err = f.cert.Verify(t.genesis.ID(), before.Signers()); err != nil {
		return v, nil, err
	}
	var inners [][]byte
	for _, id := range f.covers {
		inners = append(inners, t.records[id].Inner())
	}
	recs, errs := protocol.ParseBatch(nil, inners)
	for _, err := range errs {
		if err != nil {
			return v, nil, err
		}
	}
	return v, recs, nil
}
