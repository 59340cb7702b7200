package node

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/charter"
	"github.com/metastate-p2p/metastate/protocol/dagcbor"
	"github.com/metastate-p2p/metastate/protocol/decision"
	"github.com/metastate-p2p/metastate/protocol/decision/committee"
	"github.com/metastate-p2p/metastate/protocol/decision/secret"
	"github.com/metastate-p2p/metastate/protocol/decision/secret/keygen"
	"github.com/metastate-p2p/metastate/protocol/roll"
	"github.com/metastate-p2p/metastate/store"
)

// A trusteeSecret is what this device keeps as a trustee of one committee: the seed
// that all its messages follow from, the same after whatever restart, and which
// closing it opens of each vote. It is one value in the store, so that a store that
// lost one has lost both: without the seed there is no share to give twice.
type trusteeSecret struct {
	Seed   []byte    `cbor:"seed"` // 32 bytes
	Chosen []closing `cbor:"chosen,omitempty"`
}

// A closing is the sealed set of a vote that this device opens (SPEC §8.6 rule 6).
type closing struct {
	Proposal protocol.ID `cbor:"proposal"`
	Set      []byte      `cbor:"set"` // 32 bytes
}

func (k *trusteeSecret) erase() { clear(k.Seed) }

func trusteeKey(id protocol.ID) string { return privTrustee + id.String() }

// trusteeSecret reads what is kept for a committee. A trustee who is to announce
// and has nothing yet gets a seed, which is on the disk when it returns. The caller
// erases it.
func (l *ledger) trusteeSecret(x duty) (*trusteeSecret, error) {
	name := trusteeKey(x.committee.ID)
	b, err := l.store.Private(name)
	if errors.Is(err, store.ErrNotFound) && x.stage == committee.Announce {
		seed := random32()
		defer clear(seed[:])
		k := &trusteeSecret{Seed: slices.Clone(seed[:])}
		return k, l.keepTrustee(x.committee.ID, k)
	}
	if err != nil {
		return nil, fmt.Errorf("node: reading a trustee's secret: %w", err)
	}
	defer clear(b)
	k := &trusteeSecret{}
	if err := dagcbor.Unmarshal(b, k); err != nil || len(k.Seed) != 32 {
		return nil, errors.New("node: a trustee's secret is unreadable")
	}
	return k, nil
}

func (l *ledger) keepTrustee(id protocol.ID, k *trusteeSecret) error {
	b, err := dagcbor.Marshal(k)
	if err != nil {
		return err
	}
	defer clear(b)
	if err := l.store.PutPrivate(trusteeKey(id), b); err != nil {
		return storeError(err)
	}
	return nil
}

// errOtherClosing is why a trustee does not open a vote: the difference of two sets
// would be open too.
var errOtherClosing = errors.New("node: this trustee opens another closing of the vote, of a branch that it followed before")

// errForgotten is why a trustee does not open a vote after its store was rebuilt.
var errForgotten = errors.New("node: the store was rebuilt after this vote had closed: which closing this trustee opens may be lost with what was damaged, so it opens none; the other trustees can")

// mayHaveForgotten reports whether a vote closed before the store was rebuilt from
// files that may be of before this device chose what to open of it. Of what closes
// later it has chosen nothing yet.
func (l *ledger) mayHaveForgotten(p *decision.Poll) bool {
	b, err := l.store.Private(privUncertain)
	if errors.Is(err, store.ErrNotFound) {
		return false
	}
	at, parseErr := time.Parse(time.RFC3339, string(b))
	return err != nil || parseErr != nil || p.Opened+p.Body.Voting <= at.Add(maxAhead).Unix()
}

// chose reports whether it is settled which closing of a vote this device opens.
func (k *trusteeSecret) chose(proposal protocol.ID) bool {
	return slices.ContainsFunc(k.Chosen, func(c closing) bool { return c.Proposal == proposal })
}

// choose settles which closing of a vote this device opens, durably, and refuses
// another than the first.
func (l *ledger) choose(k *trusteeSecret, id, proposal protocol.ID, set [32]byte) error {
	for _, c := range k.Chosen {
		if c.Proposal == proposal {
			if !bytes.Equal(c.Set, set[:]) {
				return errOtherClosing
			}
			return nil
		}
	}
	k.Chosen = append(k.Chosen, closing{proposal, set[:]})
	return l.keepTrustee(id, k)
}

// trustee makes the secrets of this device in a committee. The caller erases them.
func (k *trusteeSecret) trustee(x duty) (*keygen.Trustee, error) {
	seed := [32]byte(k.Seed)
	defer clear(seed[:])
	return keygen.NewTrustee(x.committee.Kind(), x.number, &seed)
}

// says is what a stage of the key's making asks for.
func (k *trusteeSecret) says(x duty) (list []decision.TrusteeBody, err error) {
	t, err := k.trustee(x)
	if err != nil {
		return nil, err
	}
	defer t.Erase()
	body := decision.TrusteeBody{Committee: x.committee.ID, Stage: x.stage}
	switch x.stage {
	case committee.Announce:
		body.Message = t.Announce().Bytes()
	case committee.Commit, committee.Deal:
		d, err := t.Deal(x.committee.Roster())
		if err != nil {
			return nil, err
		}
		if body.Message = d.Bytes(); x.stage == committee.Commit {
			body.Message = d.Commitment().Bytes()
		}
	case committee.Confirm:
		return k.judges(x, t)
	}
	return []decision.TrusteeBody{body}, nil
}

// judges is a complaint of each deal whose share is none, or that all are good.
func (k *trusteeSecret) judges(x duty, t *keygen.Trustee) (list []decision.TrusteeBody, err error) {
	for n := range x.committee.Trustees {
		d := x.committee.DealOf(n + 1)
		if d == nil {
			continue
		}
		share, err := t.Receive(d)
		if err == nil {
			share.Erase()
			continue
		}
		if !errors.Is(err, keygen.ErrShare) {
			return nil, err
		}
		c, err := t.Complain(d)
		if err != nil {
			return nil, err
		}
		list = append(list, decision.TrusteeBody{Committee: x.committee.ID, Stage: committee.Complain, Message: c.Bytes()})
	}
	if len(list) > 0 {
		if !x.committee.Trustees[x.number-1].Guilty.IsZero() {
			return nil, errors.New("node: a complaint of this trustee was found false: its secret is not the one it announced")
		}
		return list, nil
	}
	return []decision.TrusteeBody{{Committee: x.committee.ID, Stage: committee.Confirm}}, nil
}

// share is this trustee's share of a sealed sum.
func (k *trusteeSecret) share(x duty, sealed secret.Sealed) ([]byte, error) {
	t, err := k.trustee(x)
	if err != nil {
		return nil, err
	}
	defer t.Erase()
	s, err := t.Share(x.committee.Keys())
	if err != nil {
		return nil, err
	}
	defer s.Erase()
	seed := [32]byte(k.Seed)
	defer clear(seed[:])
	return x.poll.Secret.Election().Decrypt(s, sealed, &seed)
}

// sameWords tells a trustee's records that say the same.
func sameWords(body decision.TrusteeBody) func(*protocol.Record) bool {
	want := dagcbor.Encode(body)
	return func(r *protocol.Record) bool {
		b, err := protocol.Body[decision.TrusteeBody](r)
		return r.Kind() == protocol.Trustee && err == nil && bytes.Equal(dagcbor.Encode(b), want)
	}
}

// forgetTrustee erases the secrets of committees that nothing is asked of any more:
// their making failed, or this persona has left the office, and no vote needs them.
func (l *ledger) forgetTrustee(persona protocol.ID) error {
	keys := l.store.PrivateKeys(privTrustee)
	if len(keys) == 0 {
		return nil
	}
	s := l.currentTip().State()
	needed := map[protocol.ID]bool{}
	for p := range s.Decisions().Polls() {
		if p.Secret != nil && p.Result == nil && p.Phase != decision.Withdrawn && p.Phase != decision.Rejected {
			needed[p.Secret.Committee] = true
		}
	}
	for _, key := range keys {
		id, err := protocol.ParseID(key[len(privTrustee):])
		if err != nil {
			return fmt.Errorf("node: a trustee's secret of no committee: %w", err)
		}
		c := s.Decisions().Committee(id)
		if c == nil || needed[id] || c.Stage != committee.Failed && holdsOffice(s.Roll().Member(persona)) {
			continue
		}
		if err := l.store.DeletePrivate(key); err != nil {
			return storeError(err)
		}
	}
	return nil
}

// holdsOffice reports whether a member is a trustee, in their term.
func holdsOffice(m *roll.Member) bool {
	return m != nil && slices.ContainsFunc(m.Offices(), func(h roll.Holding) bool { return h.Office == charter.OfficeTrustee && !h.Over })
}
