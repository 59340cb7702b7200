package node

import (
	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/protocol"
)

// VoteReceipt is what a voter gets.
type VoteReceipt struct {
	Receipt    string         `json:"receipt"`        // the ballot's record id
	Code       string         `json:"code,omitempty"` // of a secret ballot
	Final      bool           `json:"final"`          // covered by a checkpoint
	Sent       int            `json:"sent"`
	Covered    bool           `json:"covered"`
	Checkpoint *CheckpointRef `json:"checkpoint"` // that covers it
	Clerks     int            `json:"clerks"`     // other clerks in force who signed that they hold it; 0 once it is covered
	Receipts   []ClerkReceipt `json:"receipts"`   // what clerks signed; none once it is covered

	// Unsent is the code of another ballot, which is prepared and NOT sent.
	Unsent string `json:"unsent,omitempty"`
}

// ClerkReceipt is a clerk's word that it holds a ballot (SPEC §7.8).
type ClerkReceipt struct {
	Key    string `json:"key"`    // of the clerk's device
	Height uint64 `json:"height"` // of the checkpoint that was the clerk's latest
	Signed []byte `json:"signed"` // the receipt as it came
}

// Receipt is this persona's latest ballot in a poll.
func (c *Community) Receipt(ref string) (VoteReceipt, error) {
	s := c.Snapshot()
	if s == nil {
		return VoteReceipt{}, errNotYet()
	}
	id, err := s.proposal(ref)
	if err != nil {
		return VoteReceipt{}, err
	}
	p := s.View.Decisions().Poll(id)
	v, ok := p.Ballots.Get(c.Persona())
	if !ok && !p.HasBallots() {
		return VoteReceipt{}, &Error{
			Code: noHistory, Exit: ExitNotFound, Message: "this vote had ended when the snapshot was taken that this node began with: it does not know yet who voted",
			Hint: "the past comes in the background, by sync, and is recomputed when the node next starts: metastate status says how far it has come",
		}
	}
	unsent := c.book().unsent(c.Persona(), id)
	if !ok && unsent != "" {
		return VoteReceipt{}, &Error{
			Code: "not-sent", Exit: ExitNotFound, Message: "your ballot is NOT sent yet: it is prepared, with the code " + unsent,
			Hint: "metastate vote cast " + id.String() + " --prepared",
		}
	}
	if !ok {
		return VoteReceipt{}, &Error{Code: "not-found", Exit: ExitNotFound, Message: "you have cast no ballot in this vote", Hint: "metastate vote cast " + ref + " --choice-stdin"}
	}
	r, err := c.recordOf(v.Ballot)
	if err != nil {
		return VoteReceipt{}, err
	}
	out, err := c.receipt(r)
	out.Unsent = unsent
	return out, err
}

// CheckReceipt tells whether a ballot, named by its receipt or by the code of a
// secret one, is covered.
func (c *Community) CheckReceipt(code string) (VoteReceipt, error) {
	s := c.Snapshot()
	if s == nil {
		return VoteReceipt{}, errNotYet()
	}
	id, err := protocol.ParseID(code)
	if ballot, ok := isBallotCode(code); err != nil && ok {
		if id, ok = c.ballotByCode(s, ballot); !ok {
			return VoteReceipt{}, &Error{
				Code: "not-found", Exit: ExitNotFound, Message: "no ballot of that code counts in any secret vote that this node holds",
				Hint: "a later vote of the same voter takes its place; one that is prepared and NOT sent is in metastate status; else metastate sync now, then try again",
			}
		}
		err = nil
	}
	if err != nil {
		return VoteReceipt{}, &Error{Code: "usage", Exit: ExitUsage, Message: "this is not a receipt code", Err: err, Hint: "metastate vote receipt, with the proposal, prints it; metastate propose list has the proposals"}
	}
	inner, err := c.stored(id)
	if err != nil {
		return VoteReceipt{}, &Error{Code: "not-found", Exit: ExitNotFound, Message: "this node does not hold that ballot", Err: err, Hint: "metastate sync now, then try again"}
	}
	r, err := protocol.Parse(inner)
	if err != nil {
		return VoteReceipt{}, err
	}
	if r.Kind() != protocol.Ballot {
		return VoteReceipt{}, &Error{Code: "usage", Exit: ExitUsage, Message: "that record is not a ballot"}
	}
	return c.receipt(r)
}

// receipt is that of a ballot's record.
func (c *Community) receipt(r *protocol.Record) (VoteReceipt, error) {
	poll, ballot := r.Header().Subject, r.ID()
	out := VoteReceipt{Receipt: ballot.String(), Code: codeOf(r), Receipts: []ClerkReceipt{}}
	ref, ok, err := c.book().coveredAt(ballot)
	if err != nil {
		return out, err
	}
	if !ok {
		out.Clerks, out.Receipts = c.book().receipts(poll, ballot)
		return out, nil
	}
	out.Final, out.Covered, out.Checkpoint = true, true, &ref
	return out, nil
}

// receipts are those kept for a ballot of this node's own, in the order of their
// keys' text, and how many are of clerks in force.
func (l *ledger) receipts(poll, ballot protocol.ID) (clerks int, list []ClerkReceipt) {
	l.mu.Lock()
	defer l.mu.Unlock()
	list = []ClerkReceipt{}
	for _, key := range l.store.PrivateKeys(receiptKey(poll, identity.PublicKey{})) {
		x := l.readReceipt(key)
		if x.Record != ballot {
			continue
		}
		list = append(list, ClerkReceipt{Key: x.Key.String(), Height: x.Height, Signed: x.Encode()})
		if signs(l.tip, x.Key) {
			clerks++
		}
	}
	return clerks, list
}
