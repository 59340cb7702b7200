package roll

import (
	"slices"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/protocol"
)

// Offices that rules know. A charter may define more.
const (
	Clerk     = "clerk"
	Registrar = "registrar"
)

// Ranks (SPEC §5.4). Nobody outranks by seniority.
const (
	RankNone    = 0
	RankMember  = 1
	RankOfficer = 2
	RankClerk   = 3
)

// A Span is a stretch of a persona's standing, from a checkpoint on.
type Span struct {
	Height   uint64   `cbor:"h"`
	AsOf     int64    `cbor:"t"`
	Standing Standing `cbor:"s"`
	// Alone says that one officer alone took the standing. It takes the voice in
	// votes and removals from nobody.
	Alone bool `cbor:"a,omitempty"`
}

// maxSpans bounds the history of standings kept in the state, newest last.
const maxSpans = 32

// maxReasons bounds the reasons kept for a fact, newest last.
const maxReasons = 16

// A Member is a persona's entry on the roll. It is immutable.
type Member struct {
	Persona  protocol.ID
	Name     string // chosen by the person; proves nothing
	Keys     Keys
	Post     *Post  // nil for most
	Spans    []Span // standings, oldest first
	Until    int64  // when a suspension lapses, asOf seconds; 0 if none
	Devices  []identity.PublicKey
	Invite   protocol.ID   // under which the persona asked to join
	Approved []protocol.ID // who admitted by name, sorted
	quota    *Quota        // nil if nothing is used, as by most
	Because  []protocol.Cause
	Moved    *Moved // where standing and share went, nil: nowhere
}

// A Post is what sets founders and officers apart. It is immutable, and nil for
// everybody else: it weighs nothing in a large roll.
type Post struct {
	Founder bool               `cbor:"founder,omitempty"`
	Offices []Holding          `cbor:"offices,omitempty"` // by office
	Serves  identity.PublicKey `cbor:"-"`                 // the device that signs checkpoints for a clerk
}

func (m *Member) post() (p Post) {
	if m.Post != nil {
		p = *m.Post
	}
	return p
}

// setPost puts a member that is being made in a post.
func (m *Member) setPost(p Post) {
	m.Post = nil
	if p.Founder || len(p.Offices) > 0 || !p.Serves.IsZero() {
		m.Post = &p
	}
}

// hold sets the offices of a member that is being made.
func (m *Member) hold(offices []Holding) {
	p := m.post()
	p.Offices = offices
	m.setPost(p)
}

// serve sets the device with which a member that is being made signs checkpoints.
func (m *Member) serve(key identity.PublicKey) {
	p := m.post()
	p.Serves = key
	m.setPost(p)
}

// Founder reports whether a founding key brought the member in.
func (m *Member) Founder() bool { return m.post().Founder }

// Offices are the member's offices, by name, those included whose term is over.
func (m *Member) Offices() []Holding { return m.post().Offices }

// A Quota is what a member has used of what is limited.
type Quota struct {
	Motions []protocol.ID `cbor:"m,omitempty"` // own acts that wait for endorsements, sorted
	Vouched []int64       `cbor:"v,omitempty"` // checkpoint times of the last vouches, rising
	Polls   uint64        `cbor:"p,omitempty"` // own proposals that no vote has decided yet
}

// Quota is what the member has used of what is limited.
func (m *Member) Quota() Quota {
	if m.quota == nil {
		return Quota{}
	}
	return *m.quota
}

// use sets what a member that is being made has used.
func (m *Member) use(q Quota) {
	m.quota = nil
	if len(q.Motions)+len(q.Vouched) > 0 || q.Polls > 0 {
		m.quota = &q
	}
}

// Keys are what a persona speaks with.
type Keys struct {
	Key   identity.PublicKey `cbor:"key"`   // signs grants, rotations, revocations
	Next  identity.Digest    `cbor:"next"`  // commitment to the next such key
	Chain Chain              `cbor:"chain"` // of the records they signed

	// Given says that guardians gave the key: its chain begins with a grant or a
	// revocation, at 0.
	Given    bool                `cbor:"given,omitempty"`
	Guard    *identity.Guardians `cbor:"guard,omitempty"`   // who may recover the persona
	Recovery *Recovery           `cbor:"recover,omitempty"` // what they said
}

// A Holding is an office that a member holds.
type Holding struct {
	Office string      `cbor:"o"`
	Record protocol.ID `cbor:"r"` // that gave it
	Since  int64       `cbor:"t"` // checkpoint time
	Until  int64       `cbor:"u,omitempty"`
	// Over says that the term of a clerk has ended: the office gives no power any
	// more, but checkpoints go on being signed until there is a successor.
	Over bool `cbor:"x,omitempty"`
	// Alone says that the holder is the only founder, and that nobody else was
	// given the office of clerk since.
	Alone bool `cbor:"a,omitempty"`
}

// A Chain is the end of a chain of records by one key.
type Chain struct {
	Next uint64      `cbor:"n"` // seq of the next record
	Head protocol.ID `cbor:"h,omitzero"`
	// Day is the day of checkpoint time on which the chain last moved, and
	// Start its Next when that day began.
	Day   int64  `cbor:"d,omitempty"`
	Start uint64 `cbor:"s,omitempty"`
}

// secondsPerDay divides checkpoint time into days, counted from 1970.
const secondsPerDay = 24 * 60 * 60

// past moves the chain past r at checkpoint time asOf.
func (c Chain) past(r *protocol.Record, asOf int64) Chain {
	next := Chain{Next: r.Header().Seq + 1, Head: r.ID(), Day: asOf / secondsPerDay, Start: c.Next}
	if c.Day == next.Day {
		next.Start = c.Start
	}
	return next
}

// Room reports whether a record of the chain at seq may wait to be covered when
// checkpoint time is asOf: its place is not final, it is not too far ahead of
// what is, and within the daily number (SPEC §4.1). Once there is room at a
// place, there is until it is final.
func (c Chain) Room(seq uint64, asOf int64, daily uint64) bool {
	start := c.Next
	if c.Day == asOf/secondsPerDay {
		start = c.Start
	}
	return seq >= c.Next && seq < min(c.Next+protocol.MaxAhead, start+daily)
}

// Standing is the persona's latest standing.
func (m *Member) Standing() Standing { return m.Spans[len(m.Spans)-1].Standing }

// StandingAt is the persona's standing at a checkpoint.
func (m *Member) StandingAt(height uint64) Standing { return m.spanAt(height).Standing }

func (m *Member) spanAt(height uint64) (s Span) {
	for _, span := range m.Spans {
		if span.Height <= height {
			s = span
		}
	}
	return s
}

// Voice reports whether the persona has a say in votes and in what takes power:
// a member has, and whom one officer alone suspended, so that no officer
// silences those who would remove them.
func (m *Member) Voice() bool { return m != nil && m.Spans[len(m.Spans)-1].voice() }

// VoiceAt reports whether the persona had a voice at a checkpoint.
func (m *Member) VoiceAt(height uint64) bool { return m.spanAt(height).voice() }

func (s Span) voice() bool { return s.Standing == Full || s.Standing == Suspended && s.Alone }

// belongs reports whether the persona counts in the whole of which a majority is
// more than half: members, and those whose standing was taken for a time. Whoever
// suspends others makes no majority smaller.
func (m *Member) belongs() bool {
	for _, s := range slices.Backward(m.Spans) {
		if s.Standing != Frozen {
			return s.Standing == Full || s.Standing == Suspended
		}
	}
	return false
}

// Since is the checkpoint time of the persona's latest admission, 0 if never
// admitted.
func (m *Member) Since() int64 {
	var t int64
	was := Pending
	for _, span := range m.Spans {
		if span.Standing == Full && was != Suspended && was != Frozen {
			t = span.AsOf
		}
		was = span.Standing
	}
	return t
}

// Removed reports whether the persona left or was expelled.
func (m *Member) Removed() bool { return m.Standing() == Left || m.Standing() == Expelled }

// Holds reports whether the member has an office, its term not over.
func (m *Member) Holds(office string) bool {
	return slices.ContainsFunc(m.Offices(), func(h Holding) bool { return h.Office == office && !h.Over })
}

// has reports whether the member has an office, its term over or not.
func (m *Member) has(office string) bool { return m.holding(office) >= 0 }

func (m *Member) holding(office string) int {
	return slices.IndexFunc(m.Offices(), func(h Holding) bool { return h.Office == office })
}

// OfficeNames are the offices that the member holds, sorted.
func (m *Member) OfficeNames() (names []string) {
	for _, h := range m.Offices() {
		if !h.Over {
			names = append(names, h.Office)
		}
	}
	return names
}

// Rank is the member's rank, [RankNone] unless in full standing.
func (m *Member) Rank() int {
	switch {
	case m == nil || m.Standing() != Full:
		return RankNone
	case m.Holds(Clerk):
		return RankClerk
	case len(m.OfficeNames()) > 0:
		return RankOfficer
	}
	return RankMember
}

// readmitted is the checkpoint at which the persona came back after an expulsion,
// the last time, 0 if it never did.
func (m *Member) readmitted() (height uint64) {
	for i, s := range m.Spans {
		if i > 0 && m.Spans[i-1].Standing == Expelled {
			height = s.Height
		}
	}
	return height
}

// due is when something about the member falls due by itself, 0 if nothing
// will: a suspension's end, or that of a term. Recoveries have a clock of their
// own.
func (m *Member) due() int64 {
	at := m.Until
	for _, h := range m.Offices() {
		if h.Until != 0 && !h.Over && (at == 0 || h.Until < at) {
			at = h.Until
		}
	}
	return at
}

// with returns a copy of m with a new standing and the reason for it.
func (m *Member) with(step Step, s Standing, why protocol.Reason) *Member {
	c := *m
	span := Span{Height: step.Height, AsOf: step.AsOf, Standing: s, Alone: why.Rule == RuleSuspend}
	c.Spans = appendBounded(m.Spans, span, maxSpans)
	if n := len(m.Spans); n > 0 && m.Spans[n-1].Height == step.Height {
		c.Spans = appendBounded(m.Spans[:n-1], span, maxSpans)
	}
	c.Because = appendBounded(m.Because, why.Cause(), maxReasons)
	return &c
}

// appendBounded returns list with item at its end in a new slice, without the
// oldest when it would pass limit.
func appendBounded[T any](list []T, item T, limit int) []T {
	if len(list) >= limit {
		list = list[len(list)-limit+1:]
	}
	return slices.Concat(list, []T{item}) // no larger than it need be
}
