package state

import (
	"cmp"
	"errors"
	"fmt"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/roll"
)

// ErrRefused is wrapped when a record may be neither stored nor relayed. Every
// node that holds the record's ancestors and the checkpoint it cites comes to
// the same verdict.
var ErrRefused = errors.New("refused")

// A Missing error says what a node must hold before it can judge a record.
type Missing struct {
	Records    []protocol.ID // ancestors
	Checkpoint uint64        // height the record cites, if the node has not reached it
}

func (m *Missing) Error() string {
	if m.Checkpoint != 0 {
		return fmt.Sprintf("state: checkpoint %d is not held yet", m.Checkpoint)
	}
	return fmt.Sprintf("state: %d ancestors are not held yet", len(m.Records))
}

// Holdings is what a receipt needs to know of what a node holds.
type Holdings interface {
	// Header is the header of a held record.
	Header(protocol.ID) (protocol.Header, bool)
	// CheckpointID is the id of the final checkpoint at a height.
	CheckpointID(height uint64) (protocol.ID, bool)
	// Covered reports whether the latest checkpoint covers a control record. A
	// node that began with a snapshot does not hold all that it covers.
	Covered(protocol.ID) bool
	// Began is the height of that snapshot, 0 without one.
	Began() uint64
}

// Receive decides whether a record may be stored and relayed: nil, a [*Missing],
// or an error wrapping [ErrRefused] (SPEC §4.1). It looks at the record, its
// ancestors and the final checkpoint that it cites, never at when it came.
func (s *State) Receive(r *protocol.Record, held Holdings) error {
	c := receipt{s: s, r: r, h: r.Header(), held: held}
	if r.Kind() == protocol.Genesis {
		return c.refuse("another genesis")
	}
	if c.h.Metastate != s.metastate {
		return c.refuse("it belongs to another metastate")
	}
	if err := c.checkpoint(); err != nil {
		return err
	}
	if r.Plane() == protocol.Bulk {
		return cmp.Or(c.bulk(), c.early())
	}
	// Before its ancestors: what can't be taken must not wait.
	if err := cmp.Or(c.author(), c.room(), c.early()); err != nil {
		return err
	}
	if err := c.ancestors(); err != nil {
		return err
	}
	return c.founder()
}

// Lapsed reports whether a control record that is held and not covered can't be
// any more: Receive would refuse it now, and at every later checkpoint. Whoever
// holds it drops it, and with it what names it as before it (SPEC §4.1).
func (s *State) Lapsed(r *protocol.Record) bool {
	c := receipt{s: s, r: r, h: r.Header()}
	switch {
	case r.Plane() == protocol.Bulk || r.Kind() == protocol.Genesis || c.h.Checkpoint.Height > s.height:
		return false
	case r.Kind() == protocol.Inception:
		return c.author() != nil
	case r.Kind().ByPersona(): // of another key, it may be the next
		chain, _, ok := c.chain()
		return c.tooOld() || ok && c.h.Seq < chain.Next
	}
	chain, _, ok := c.chain()
	return c.tooOld() || c.author() != nil || ok && c.h.Seq < chain.Next
}

type receipt struct {
	s    *State
	r    *protocol.Record
	h    protocol.Header
	held Holdings
}

func (c *receipt) refuse(format string, args ...any) error {
	return fmt.Errorf("state: record %s: %w: %s", c.r.ID(), ErrRefused, fmt.Sprintf(format, args...))
}

// checkpoint requires that the record cites a final checkpoint that is held.
func (c *receipt) checkpoint() error {
	at := c.h.Checkpoint
	if at == (protocol.Ref{}) {
		if c.r.Kind() == protocol.Inception || c.r.Kind() == protocol.Grant {
			return nil
		}
		return c.refuse("it cites no checkpoint")
	}
	if c.tooOld() {
		return c.refuse("it cites a checkpoint older than %d days; it must be signed again", protocol.WindowDays)
	}
	if at.Height > c.s.height {
		return &Missing{Checkpoint: at.Height}
	}
	id, ok := c.held.CheckpointID(at.Height)
	if early := !ok && at.Height < c.held.Began(); !early && (!ok || id != at.ID) {
		return c.refuse("it cites a checkpoint that is not final here")
	}
	return nil
}

// early lets a record wait that cites a checkpoint from before the snapshot that
// the node began with, and that it does not hold.
func (c *receipt) early() error {
	at := c.h.Checkpoint
	if _, ok := c.held.CheckpointID(at.Height); at.Height > 0 && !ok && at.Height < c.held.Began() {
		return &Missing{Checkpoint: at.Height}
	}
	return nil
}

// ancestors requires that all that the record names as before it is held, that
// its chain is whole, and that it is within the quota.
func (c *receipt) ancestors() error {
	var missing []protocol.ID
	for _, id := range c.h.Parents {
		if h, ok := c.held.Header(id); !ok {
			if !c.held.Covered(id) {
				missing = append(missing, id)
			}
		} else if !h.Subject.IsZero() {
			return c.refuse("a parent is on the bulk plane")
		}
	}
	prev, ok := c.held.Header(c.h.Prev)
	if !c.h.Prev.IsZero() && !ok && !c.s.Continues(c.h) && !c.follows() {
		missing = append(missing, c.h.Prev)
	}
	if len(missing) > 0 {
		return &Missing{Records: missing}
	}
	if !ok {
		return nil
	}
	if prev.Key != c.h.Key || prev.Seq+1 != c.h.Seq || !prev.Subject.IsZero() {
		return c.refuse("it does not follow the record it names as before it")
	}
	if prev.Checkpoint.Height > c.h.Checkpoint.Height {
		return c.refuse("it cites an older checkpoint than the record before it")
	}
	return c.quota(prev)
}

// follows reports whether what the record names as before it is the end of its
// chain in the state, though it is not held. What a snapshot covers cites
// checkpoints before it, so nothing of it counts for the quota of a record that
// cites that one or a later one.
func (c *receipt) follows() bool {
	end, ok := c.s.roll.Chain(c.h.Persona, c.h.Key)
	return ok && end.Next == c.h.Seq && end.Head == c.h.Prev && c.h.Checkpoint.Height >= c.held.Began()
}

// Continues reports whether a record is by a persona's key, and the first after
// those that the persona's admission carries: what it names as before it is in
// no set. Nothing here changes once the persona is on the roll, so that a rival
// that comes late is held as one that came early.
func (s *State) Continues(h protocol.Header) bool {
	m := s.roll.Member(h.Persona)
	return m != nil && h.Key == m.Keys.Key && !m.Keys.Given && h.Seq == protocol.MaxCarried
}

// quota refuses a record that follows Q others of its chain which cite the
// same checkpoint.
func (c *receipt) quota(prev protocol.Header) error {
	for n := 1; prev.Checkpoint == c.h.Checkpoint; n++ {
		if n == protocol.QuotaPerCheckpoint {
			return c.refuse("more than %d records of one device on one checkpoint", protocol.QuotaPerCheckpoint)
		}
		h, ok := c.held.Header(prev.Prev)
		if !ok && c.h.Checkpoint.Height < c.held.Began() && c.held.Covered(prev.Prev) {
			return &Missing{Records: []protocol.ID{prev.Prev}}
		}
		if !ok {
			return nil
		}
		prev = h
	}
	return nil
}

// tooOld reports whether the record cites a checkpoint from before the window.
// Ballots may until their poll closes.
func (c *receipt) tooOld() bool {
	return c.r.Plane() == protocol.Control && c.h.Checkpoint.Height < c.s.Oldest() && c.h.Checkpoint != (protocol.Ref{})
}

// author requires that whoever signed a control record may add it to their
// chain. It asks nothing of what is held.
func (c *receipt) author() error {
	if c.r.Kind().ByPersona() {
		return c.personaKeys()
	}
	err := c.device(func(m *roll.Member) bool {
		switch standing := m.StandingAt(c.h.Checkpoint.Height); standing {
		case roll.Full:
			return true
		case roll.Pending, roll.Suspended, roll.Frozen:
			return c.r.Kind() == protocol.Leave || roll.Voices(c.r.Kind()) && m.VoiceAt(c.h.Checkpoint.Height) || c.asTrustee()
		}
		return false
	})
	if err != nil {
		return err
	}
	if c.s.roll.Device(c.h.Key).Marks().Forked {
		return c.refuse("its device signed two records in one place")
	}
	return nil
}

// asTrustee reports whether it is a trustee's part that is asked of its author: who
// has a share keeps it, so that no officer keeps a vote shut by suspensions.
func (c *receipt) asTrustee() bool {
	return (c.r.Kind() == protocol.Trustee || c.r.Kind() == protocol.Open) && c.s.decisions.Asks(c.h.Persona)
}

// chain is the final chain that a record's key goes on with, and how far it may
// come in a day; ok is false if there is none.
func (c *receipt) chain() (chain roll.Chain, daily uint64, ok bool) {
	if !c.r.Kind().ByPersona() {
		if d := c.s.roll.Device(c.h.Key); d != nil {
			return d.Chain, protocol.DailyRecords, true
		}
		return chain, 0, false
	}
	m := c.s.roll.Member(c.h.Persona)
	if m == nil || m.Keys.Key != c.h.Key {
		return chain, 0, false
	}
	return m.Keys.Chain, protocol.DailyKeyRecords, true
}

// room requires that a record's place is one that its chain may come to now.
func (c *receipt) room() error {
	chain, daily, ok := c.chain()
	switch {
	case !ok:
		return nil
	case c.h.Seq < chain.Next:
		return c.refuse("another record of its chain is final in its place")
	case !chain.Room(c.h.Seq, c.s.asOf, daily):
		return c.refuse("too many records of its chain, at most %d are not final and %d come in a day", protocol.MaxAhead, daily)
	}
	return nil
}

// personaKeys judges what a persona's key signed and stands alone: a founder's
// inception, or what someone on the roll does with their keys. A newcomer's
// inception and first grant come inside an admission.
func (c *receipt) personaKeys() error {
	if c.r.Kind() == protocol.Inception {
		if len(c.h.Cosigners) != 1 || !c.s.roll.Awaits(c.h.Cosigners[0]) {
			return c.refuse("a newcomer's inception comes inside an admission")
		}
		if len(c.h.Parents) != 1 || c.h.Parents[0] != c.s.metastate {
			return c.refuse("a founder's inception follows the genesis")
		}
		return nil
	}
	m := c.s.roll.Member(c.h.Persona)
	if c.r.Kind() == protocol.Rotate {
		if m == nil || identity.Commit(c.h.Key) != m.Keys.Next {
			return c.refuse("the key is not the one that the persona committed to")
		}
		return nil
	}
	if c.h.Seq == 0 && (m == nil || !m.Keys.Given) {
		return c.refuse("it follows the persona's inception or rotation")
	}
	if m == nil {
		return nil // until its ancestors are held: a founder's inception may be among them
	}
	if standing := m.StandingAt(c.h.Checkpoint.Height); m.Keys.Key != c.h.Key || standing == roll.Left || standing == roll.Expelled {
		return c.refuse("the key does not speak for the persona")
	}
	return nil
}

// founder requires of a persona key's record, whose persona is not on the roll,
// that the persona's inception is held: a founder's.
func (c *receipt) founder() error {
	switch c.r.Kind() {
	case protocol.Grant, protocol.Revoke:
	default:
		return nil
	}
	if c.s.roll.Member(c.h.Persona) != nil {
		return nil
	}
	inception, ok := c.held.Header(c.h.Persona)
	if !ok || inception.Kind != protocol.Inception || inception.Key != c.h.Key {
		return c.refuse("the persona is not on the roll")
	}
	return nil
}

// device requires that the signing device was final at the checkpoint cited,
// speaks for the author, and that the author's standing there allows the act.
func (c *receipt) device(allows func(*roll.Member) bool) error {
	d := c.s.roll.Device(c.h.Key)
	if d == nil || d.Persona != c.h.Persona || d.Height > c.h.Checkpoint.Height ||
		d.Marks().Revoked != 0 && d.Marks().Revoked <= c.h.Checkpoint.Height {
		return c.refuse("the device may not sign for the persona at the checkpoint it cites")
	}
	if m := c.s.roll.Member(c.h.Persona); m == nil || !allows(m) {
		return c.refuse("the author's standing at the checkpoint it cites does not allow it")
	}
	return nil
}

// bulk judges what belongs to a proposal: ballots in a vote that is open, by its
// electorate, and what members say while it is discussed.
func (c *receipt) bulk() error {
	p := c.s.decisions.Poll(c.h.Subject)
	ballot := c.r.Kind() == protocol.Ballot
	if p == nil || p.Debate.Began == 0 || c.h.Checkpoint.Height < p.Debate.Began ||
		ballot && (p.RecordDate == 0 || c.h.Checkpoint.Height < p.RecordDate) {
		return c.refuse("its poll was not open at the checkpoint it cites")
	}
	if p.Phase.Closed() {
		return c.refuse("its poll has closed")
	}
	height := c.h.Checkpoint.Height
	if ballot {
		height = p.RecordDate
	}
	return c.device(func(m *roll.Member) bool { return m.VoiceAt(height) })
}
