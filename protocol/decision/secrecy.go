package decision

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/dagcbor"
	"github.com/metastate-p2p/metastate/protocol/decision/committee"
	"github.com/metastate-p2p/metastate/protocol/decision/count"
	"github.com/metastate-p2p/metastate/protocol/decision/secret"
)

// Secrecy is what a secret vote has besides. It is immutable.
type Secrecy struct {
	Committee protocol.ID   `cbor:"committee"`
	Roll      []byte        `cbor:"roll,omitempty"`   // root of the members when the vote opened
	Height    uint64        `cbor:"height,omitempty"` // of the closing checkpoint
	Acks      []uint64      `cbor:"acks,omitempty"`   // numbers of trustees who open this closing and no other, rising
	Shares    []OpenedShare `cbor:"shares,omitempty"` // by rising trustee
	Wrong     []protocol.ID `cbor:"wrong,omitempty"`  // records of shares that do not hold

	election *secret.Election
	sum      secret.Aggregate
}

// An OpenedShare is a trustee's share of the sum, which holds.
type OpenedShare struct {
	Trustee uint64 `cbor:"n"`
	Share   []byte `cbor:"s"`
}

// Election is the vote as package secret has it, nil before the vote opens.
func (s *Secrecy) Election() *secret.Election { return s.election }

// Sum is the sum of the ballots that count, once the vote is open.
func (s *Secrecy) Sum() secret.Aggregate { return s.sum }

// checkSecret refuses a secret vote that could not be held.
func (b ProposeBody) checkSecret(options []string) error {
	if b.Secret.Least < 1 || b.Secret.Least > secret.MaxTotal {
		return errors.New("decision: a secret vote is opened from at least one ballot on")
	}
	shape, err := SecretShape(b.Method, b.Params)
	if err != nil {
		return err
	}
	if err := shape.Check(len(options)); err != nil {
		return fmt.Errorf("decision: %w", err)
	}
	return nil
}

// IsSecret reports whether the vote is secret.
func (p *Poll) IsSecret() bool { return p.Body.Secret != SecretBody{} }

// Closing is what the closing checkpoint says of a vote: the digest of the ballots
// that count, how many they are, and the id of the result, or of the sum of a
// secret vote that is to be opened.
func (p *Poll) Closing() (ballots [32]byte, n uint64, result protocol.ID) {
	if p.Result != nil {
		return p.Result.Ballots, p.Result.Counted, p.Result.ID()
	}
	return p.ballotsRoot(), p.Secret.sum.Ballots(), p.Secret.sum.Digest()
}

// Sealed is what trustees open: the sum of the ballots, bound to their set and the
// checkpoint that closed it (SPEC §8.6 rule 6).
func (p *Poll) Sealed() secret.Sealed {
	root := p.ballotsRoot()
	set := protocol.Sum(slices.Concat([]byte("metastate/sealed/1"), p.Proposal[:], binary.BigEndian.AppendUint64(nil, p.Secret.Height), root[:]))
	return secret.Sealed{Set: set, Sum: p.Secret.sum}
}

// begin makes the election of a secret vote that opens.
func (p *Poll) begin(c *committee.Committee, members [32]byte) error {
	s := *p.Secret
	s.Roll = members[:]
	if err := s.elect(p, c); err != nil {
		return err
	}
	p.Secret = &s
	return nil
}

func (s *Secrecy) elect(p *Poll, c *committee.Committee) error {
	shape, err := SecretShape(p.Body.Method, p.Body.Params)
	if err != nil {
		return err
	}
	s.election, err = secret.NewElection(secret.Terms{
		Keys: c.Keys(), Roll: [32]byte(s.Roll), Question: p.Proposal, Method: p.Body.Method, Params: dagcbor.Encode(p.Body.Params),
		Options: p.Options, Shape: shape, Opens: uint64(p.Opened), Closes: uint64(p.Opened + p.Body.Voting), Least: p.Body.Secret.Least,
	})
	if err != nil {
		return err
	}
	s.sum = s.election.Empty()
	return nil
}

// CheckBallot reports whether a secret ballot proves that it is one. It is the same
// for ever, costs about a millisecond, and is found out once for each record: who
// calls it in time, on any goroutine, has the state not wait for it.
func (p *Poll) CheckBallot(r *protocol.Record) bool {
	if p.Secret == nil || p.Secret.election == nil {
		return false
	}
	id := p.Secret.election.ID()
	if known, ok := r.Recall(id).(bool); ok {
		return known
	}
	body, err := protocol.Body[BallotBody](r)
	if err == nil {
		_, err = p.Secret.election.Verify(secret.Voter{ID: r.Author(), Seq: r.Header().Seq}, body.Ballot)
	}
	r.Remember(id, err == nil)
	return err == nil
}

// replace puts a voter's ciphertexts in the place of those before, in the sum.
func (s *Secrecy) replace(was, now []byte) (*Secrecy, error) {
	next := *s
	for _, x := range []struct {
		ciphertexts []byte
		change      func(secret.Aggregate, *secret.Ballot, uint64) (secret.Aggregate, error)
	}{{was, s.election.Minus}, {now, s.election.Plus}} {
		if x.ciphertexts == nil {
			continue
		}
		b, err := s.election.Recall(x.ciphertexts)
		if err == nil {
			next.sum, err = x.change(next.sum, b, 1)
		}
		if err != nil {
			return s, err
		}
	}
	return &next, nil
}

// seal closes a secret vote. With too few ballots it is not opened.
func (f *fold) seal(p *Poll) {
	s := *p.Secret
	s.Height = f.Step.Height
	p.Secret, p.Phase, p.Next = &s, Closed, 0
	if s.sum.Ballots() < p.Body.Secret.Least {
		p.Phase = Rejected
		p.Result = &Result{
			Result: count.Result{Outcome: count.Rejected, Votes: none(p.Options), Rounds: []count.Round{
				count.Say("%s: fewer than the %d from which on the sum is opened. Nobody knows what they say.", number(s.sum.Ballots(), "ballot"), p.Body.Secret.Least),
			}},
			Counted: s.sum.Ballots(), Height: f.Step.Height, Ballots: p.Ballots.Root(),
		}
	}
}

func none(options []string) []count.Option {
	out := make([]count.Option, len(options))
	for i, o := range options {
		out[i].Name = o
	}
	return out
}
