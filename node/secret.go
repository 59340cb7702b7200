package node

import (
	"bytes"
	"context"
	"encoding/base32"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/metastate-p2p/metastate/node/internal/p2p"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/dagcbor"
	"github.com/metastate-p2p/metastate/protocol/decision"
	counting "github.com/metastate-p2p/metastate/protocol/decision/count"
	"github.com/metastate-p2p/metastate/protocol/decision/secret"
	"github.com/metastate-p2p/metastate/store"
)

// A prepared ballot is one that was made and not sent. Whoever has its opening can
// show what it says: it is erased when the ballot is cast, or replaced, or the vote
// is over.
type prepared struct {
	Seq     uint64 `cbor:"seq"`
	Ballot  []byte `cbor:"ballot"`
	Opening []byte `cbor:"opening"` // 32 bytes
}

func (x *prepared) erase() { clear(x.Opening) }

func ballotKey(proposal protocol.ID) string { return privBallot + proposal.String() }

// ballotCodeText is lower case, as ids are.
var ballotCodeText = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// BallotCode is the receipt code of a secret ballot: the SHA-256 of its bytes, in
// base32, 52 letters and digits. It says nothing of the choice.
func BallotCode(ballot []byte) string {
	sum := protocol.Sum(ballot)
	return ballotCodeText.EncodeToString(sum[:])
}

// isBallotCode reports whether a text may be such a code, however it is written.
func isBallotCode(text string) (string, bool) {
	code := strings.ToLower(strings.NewReplacer("-", "", " ", "").Replace(text))
	b, err := ballotCodeText.DecodeString(code)
	return code, err == nil && len(b) == len(protocol.ID{})
}

// A PreparedBallot is a secret ballot that is made and not sent.
type PreparedBallot struct {
	Proposal protocol.ID `json:"proposal"`
	Code     string      `json:"code"` // its receipt code
	Seq      uint64      `json:"seq"`  // for which of the voter's ballots it is made
}

// encrypt makes a secret ballot of a choice and checks it as others will. The caller
// erases the opening.
func encrypt(p *decision.Poll, by secret.Voter, marks counting.Marks) ([]byte, secret.Opening, error) {
	seed := random32()
	defer clear(seed[:])
	e := p.Secret.Election()
	ballot, opening, err := e.Encrypt(by, marks, (*[32]byte)(&seed))
	if err == nil {
		_, err = e.Verify(by, ballot)
	}
	if err != nil {
		opening.Erase()
		return nil, opening, fmt.Errorf("node: making a secret ballot: %w", err)
	}
	return ballot, opening, nil
}

// marksOf are the marks of a choice in normal form. The caller erases them.
func marksOf(p *decision.Poll, choice counting.Choice) (counting.Marks, error) {
	form, err := p.Form()
	if err != nil {
		return nil, err
	}
	return form.Parse(p.Options, string(choice))
}

// castSecret makes a secret ballot and casts it. Nothing is kept of how.
func (c *Community) castSecret(ctx context.Context, p *decision.Poll, choice counting.Choice) (VoteReceipt, error) {
	marks, err := marksOf(p, choice)
	if err != nil {
		return VoteReceipt{}, err
	}
	defer clear(marks)
	return c.sendSecret(ctx, p, func(seq *uint64) ([]byte, error) {
		ballot, opening, err := encrypt(p, secret.Voter{ID: c.Persona(), Seq: *seq}, marks)
		opening.Erase()
		return ballot, err
	})
}

// castPrepared casts the ballot that is prepared, as it is.
func (c *Community) castPrepared(ctx context.Context, p *decision.Poll) (VoteReceipt, error) {
	l := c.book()
	x, err := l.prepared(c.Persona(), p.Proposal)
	if err != nil {
		return VoteReceipt{}, err
	}
	defer x.erase()
	return c.sendSecret(ctx, p, func(seq *uint64) ([]byte, error) {
		if *seq > x.Seq {
			return nil, refuse("you have voted, or written on the proposal, since that ballot was prepared: it counts in its own place only", "metastate vote prepare "+p.Proposal.String())
		}
		*seq = x.Seq
		return x.Ballot, nil
	})
}

// sendSecret casts the ballot that is made for the next place, or a later one, and
// erases what was prepared: it could not be cast any more.
func (c *Community) sendSecret(ctx context.Context, p *decision.Poll, ballot func(seq *uint64) ([]byte, error)) (VoteReceipt, error) {
	l := c.book()
	if l == nil {
		return VoteReceipt{}, errNotYet()
	}
	code := ""
	r, err := l.write(c.Persona(), c.key.Public(), protocol.Ballot, p.Proposal, func(h protocol.Header) (*protocol.Record, error) {
		b, err := ballot(&h.Seq)
		if err != nil {
			return nil, err
		}
		code = BallotCode(b)
		return protocol.Sign(h, decision.BallotBody{Ballot: b, Version: p.Debate.Version}, nil, c.key)
	})
	if err != nil {
		return VoteReceipt{}, err
	}
	c.publish(p2p.Records, r.Inner())
	if err := l.store.DeletePrivate(ballotKey(p.Proposal)); err != nil {
		return VoteReceipt{}, storeError(err)
	}
	out := VoteReceipt{Receipt: r.ID().String(), Code: code, Sent: c.hand(ctx, r)}
	out.Clerks, out.Receipts = l.receipts(p.Proposal, r.ID())
	return out, nil
}

// PrepareVote makes a secret ballot and keeps it, without sending it, in place of
// one that was prepared before. The voter then casts it ([VoteRequest].Prepared), or
// has it opened to see whether it says what was chosen ([Community.ChallengeVote]).
func (c *Community) PrepareVote(_ context.Context, ref string, req VoteRequest) (PreparedBallot, error) {
	p, choice, err := c.chosen(ref, req)
	if err != nil {
		return PreparedBallot{}, err
	}
	if !p.IsSecret() {
		return PreparedBallot{}, refuse("the vote is open: there is no ballot to prepare", "metastate vote cast "+p.Proposal.String())
	}
	marks, err := marksOf(p, choice)
	if err != nil {
		return PreparedBallot{}, err
	}
	defer clear(marks)
	l := c.book()
	l.mu.Lock()
	seq := l.nextBulk(c.Persona(), p.Proposal)
	l.mu.Unlock()
	ballot, opening, err := encrypt(p, secret.Voter{ID: c.Persona(), Seq: seq}, marks)
	if err != nil {
		return PreparedBallot{}, err
	}
	defer opening.Erase()
	b, err := dagcbor.Marshal(prepared{Seq: seq, Ballot: ballot, Opening: opening[:]})
	if err != nil {
		return PreparedBallot{}, err
	}
	defer clear(b)
	if err := l.store.PutPrivate(ballotKey(p.Proposal), b); err != nil {
		return PreparedBallot{}, storeError(err)
	}
	return PreparedBallot{Proposal: p.Proposal, Code: BallotCode(ballot), Seq: seq}, nil
}

// prepared is the ballot that is prepared in a vote. The caller erases it. One that
// was cast is none any more, also if the node was stopped before it was erased: its
// opening would show how the person voted.
func (l *ledger) prepared(voter, proposal protocol.ID) (*prepared, error) {
	none := &Error{
		Code: "not-found", Exit: ExitNotFound, Message: "no ballot is prepared in this vote",
		Hint: "metastate vote prepare " + proposal.String(),
	}
	b, err := l.store.Private(ballotKey(proposal))
	if errors.Is(err, store.ErrNotFound) {
		return nil, none
	}
	if err != nil {
		return nil, fmt.Errorf("node: reading a prepared ballot: %w", err)
	}
	defer clear(b)
	x := &prepared{}
	if err := dagcbor.Unmarshal(b, x); err != nil || len(x.Opening) != len(secret.Opening{}) {
		return nil, errors.New("node: the prepared ballot is unreadable")
	}
	if !l.hasCast(voter, proposal, x) {
		return x, nil
	}
	x.erase()
	if err := l.store.DeletePrivate(ballotKey(proposal)); err != nil {
		return nil, storeError(err)
	}
	return nil, none
}

// hasCast reports whether a ballot that was prepared is held as one that is cast, or
// another that counts has come in its place.
func (l *ledger) hasCast(voter, proposal protocol.ID, x *prepared) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if p := l.tip.State().Decisions().Poll(proposal); p != nil {
		if v, ok := p.Ballots.Get(voter); ok && v.Seq >= x.Seq {
			return true
		}
	}
	for _, r := range l.open {
		if h := r.Header(); h.Subject == proposal && h.Persona == voter && codeOf(r.Record) == BallotCode(x.Ballot) {
			return true
		}
	}
	return false
}

// unsent is the code of the ballot that is prepared in a vote, empty if none is.
func (l *ledger) unsent(voter, proposal protocol.ID) string {
	x, err := l.prepared(voter, proposal)
	if err != nil {
		return ""
	}
	defer x.erase()
	return BallotCode(x.Ballot)
}

// unsentAll are the ballots prepared in votes that are open.
func (l *ledger) unsentAll(voter protocol.ID) (list []UnsentBallot) {
	decisions := l.currentTip().State().Decisions()
	for _, key := range l.store.PrivateKeys(privBallot) {
		id, err := protocol.ParseID(key[len(privBallot):])
		if err != nil {
			continue
		}
		if p, code := decisions.Poll(id), l.unsent(voter, id); p != nil && code != "" {
			list = append(list, UnsentBallot{Proposal: id, Title: p.Body.Title, Code: code})
		}
	}
	return list
}

// tidyVotes erases what nothing is done with any more: secrets of committees that
// are over, and ballots prepared in votes that are closed.
func (c *Community) tidyVotes(l *ledger) {
	err := l.forgetTrustee(c.Persona())
	decisions := l.currentTip().State().Decisions()
	for _, key := range l.store.PrivateKeys(privBallot) {
		id, perr := protocol.ParseID(key[len(privBallot):])
		if p := decisions.Poll(id); perr == nil && p != nil && p.Phase.Closed() {
			err = errors.Join(err, l.store.DeletePrivate(key))
		}
	}
	if err != nil {
		c.log.Warn("erasing what is over of secret votes", "cause", err)
	}
}

// codeOf is the code of a secret ballot, empty of an open one.
func codeOf(r *protocol.Record) string {
	b, err := protocol.Body[decision.BallotBody](r)
	if r.Kind() != protocol.Ballot || err != nil || len(b.Ballot) == 0 {
		return ""
	}
	return BallotCode(b.Ballot)
}

// ballotByCode finds the ballot of a code among those that count: one's own first.
func (c *Community) ballotByCode(s *Snapshot, code string) (protocol.ID, bool) {
	var own, others []protocol.ID
	for p := range s.View.Decisions().Polls() {
		if !p.IsSecret() {
			continue
		}
		for voter, v := range p.Ballots.All() {
			if protocol.ID(voter) == c.Persona() {
				own = append(own, v.Ballot)
			} else {
				others = append(others, v.Ballot)
			}
		}
	}
	for _, id := range slices.Concat(own, others) {
		if r, err := c.recordOf(id); err == nil && codeOf(r) == code {
			return id, true
		}
	}
	return protocol.ID{}, false
}

// isCast reports whether a voter's ballot that counts in a poll is this one.
func isCast(p *decision.Poll, voter protocol.ID, ballot []byte) bool {
	v, ok := p.Ballots.Get(voter)
	return ok && bytes.Equal(v.Sealed, p.Secret.Election().Ciphertexts(ballot))
}
