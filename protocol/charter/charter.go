package charter

// The bounds of a charter (SPEC §5.3). Durations are seconds.
const (
	MaxStatutes  = 40 << 10 // bytes of UTF-8
	MaxOffices   = 16
	MaxClasses   = 16
	MaxName      = 32 // bytes of an office's, a class's or a template's name
	MaxClerks    = 13
	MaxSuspend   = 72 * hour
	MinRetention = 30 * day
	MaxRetention = 3660 * day

	defaultRetention = 400 * day
	MaxUses          = 10_000    // of one invite
	MaxAge           = 400 * day // of an invite
	MaxPeriod        = 400 * day // each of a class's periods
	MaxTerm          = 3_660 * day
	MaxSeats         = 10_000
	MaxDen           = 1_000_000 // of a fraction
	MaxVersion       = 1 << 40
	MaxVouches       = 64
	MaxSponsors      = 10_000
	MaxCarried       = 10_000
	MaxAssisted      = 100

	minute = 60
	hour   = 60 * minute
	day    = 24 * hour
	week   = 7 * day
)

// The words of a charter.
const (
	PolicyOpen      = "open"      // whoever asks and signs the statutes is admitted
	PolicyInvite    = "invite"    // an invite admits, without a further act
	PolicyRegistrar = "registrar" // an application waits for the approval of registrars
	PolicyVouch     = "vouch"     // an application waits until enough members vouch for it
	PolicyBallot    = "ballot"    // an application waits for a decision

	InvitesMembers  = "members"  // every member may invite
	InvitesOfficers = "officers" // whoever holds an office may invite

	OfVotes = "votes" // a threshold of the yes and no votes; abstentions stand aside
	OfRoll  = "roll"  // a threshold of the electorate; who does not vote counts against

	OfTurnout = "turnout" // a quorum of the ballots cast: so many say yes or no

	OfficeClerk     = "clerk"     // co-signs checkpoints
	OfficeRegistrar = "registrar" // approves applications
	OfficeTrustee   = "trustee"   // holds a share of the key to secret ballots

	ClassOrdinary   = "ordinary"
	ClassCharter    = "charter"
	ClassElection   = "election"
	ClassEntrenched = "entrenched"
	ClassExpulsion  = "expulsion"
	ClassBudget     = "budget"
)

// A Charter is a metastate's constitution: its statutes in words, and the
// parameters that rules read (SPEC §5.3). It stands in the genesis record and
// changes only by decision. Durations are seconds; all numbers are integers.
type Charter struct {
	Version   uint64    `cbor:"version" yaml:"version"`     // of this charter, from 1
	Template  string    `cbor:"template" yaml:"template"`   // which built-in it began as; may be empty
	Statutes  string    `cbor:"statutes" yaml:"statutes"`   // the text members agree to, 1 B to 40 KiB
	Admission Admission `cbor:"admission" yaml:"admission"` // who becomes a member
	Offices   []Office  `cbor:"offices" yaml:"offices"`     // sorted by name, at most 16; at least the clerk's
	Classes   []Class   `cbor:"classes" yaml:"classes"`     // sorted by name, at most 16; at least ordinary, charter, election, expulsion
	Suspend   int64     `cbor:"suspend" yaml:"suspend"`     // longest suspension by one officer alone; over 0, at most 72 h
	// Retention is how long after a vote nodes keep its ballots, at least 30 d;
	// 0: 400 d.
	Retention int64 `cbor:"retention,omitempty" yaml:"retention,omitempty"`
	// Delegation lets members give others their vote; without it none can.
	Delegation Delegation `cbor:"delegation,omitzero" yaml:"delegation,omitempty"`
	// Assist lets officers enter the votes of members who can't; without it none do.
	Assist Assist `cbor:"assist,omitzero" yaml:"assist,omitempty"`
}

// Delegation says how votes may be given to others (SPEC §8.2).
type Delegation struct {
	Cap uint64 `cbor:"cap" yaml:"cap"` // most votes that one member carries, besides their own; 1 to 10,000
}

// Assist says who may enter the votes of members who can't (SPEC §8.2).
type Assist struct {
	Office string `cbor:"office" yaml:"office"` // whose holders may
	Cap    uint64 `cbor:"cap" yaml:"cap"`       // for how many members each of them may in one vote, 1 to 100
}

// Admission says who becomes a member and how (SPEC §5.2).
type Admission struct {
	Policy     string `cbor:"policy" yaml:"policy"`                  // open, invite, registrar, vouch or ballot
	Invites    string `cbor:"invites" yaml:"invites"`                // who may invite: members or officers
	Registrars uint64 `cbor:"registrars" yaml:"registrars"`          // approvals needed with policy registrar, else not read
	MaxUses    uint64 `cbor:"maxUses" yaml:"maxUses"`                // most uses of one invite, 1 to 10,000
	MaxAge     int64  `cbor:"maxAge" yaml:"maxAge"`                  // longest life of an invite, over 0, at most 400 d
	Vouch      Vouch  `cbor:"vouch,omitzero" yaml:"vouch,omitempty"` // with policy vouch, and only then
}

// Vouch says how members vouch for newcomers.
type Vouch struct {
	Needs uint64 `cbor:"needs" yaml:"needs"` // members who vouch, 1 to 64
	Age   int64  `cbor:"age" yaml:"age"`     // how long they have been members, at most 400 d
	Cap   uint64 `cbor:"cap" yaml:"cap"`     // for how many one member vouches in 30 days, 1 to 64
}

// An Office is a duty that members hold for a term.
type Office struct {
	Name  string `cbor:"name" yaml:"name"`   // [a-z][a-z0-9-]{0,31}
	Seats uint64 `cbor:"seats" yaml:"seats"` // most holders at one time; of clerks 1 to 13
	Term  int64  `cbor:"term" yaml:"term"`   // after which a holder's powers end; 0: until recalled
}

// A Class says how decisions of a kind are taken (SPEC §5.3). The periods
// follow each other in the order of the fields.
type Class struct {
	Name       string   `cbor:"name" yaml:"name"`             // [a-z][a-z0-9-]{0,31}
	Threshold  Fraction `cbor:"threshold" yaml:"threshold"`   // for yes; more than it if Strict, else at least it
	Strict     bool     `cbor:"strict" yaml:"strict"`         // so "1/2" strict is a simple majority, in which a tie fails
	Of         string   `cbor:"of" yaml:"of"`                 // threshold of: votes (yes and no) or roll (the electorate)
	Quorum     Fraction `cbor:"quorum" yaml:"quorum"`         // least part of the electorate that votes; 0/1: none
	Discussion int64    `cbor:"discussion" yaml:"discussion"` // before the vote, while the text may change
	Freeze     int64    `cbor:"freeze" yaml:"freeze"`         // text fixed, before the vote
	Voting     int64    `cbor:"voting" yaml:"voting"`         // shortest vote
	Contest    int64    `cbor:"contest" yaml:"contest"`       // after the result, for challenges to the count
	Exit       int64    `cbor:"exit" yaml:"exit"`             // before it takes effect, for whoever would rather leave

	// What a class may have besides.

	QuorumOf   string     `cbor:"quorumOf,omitempty" yaml:"quorumOf,omitempty"`    // quorum of: roll, as without it, or turnout
	Support    Support    `cbor:"support,omitzero" yaml:"support,omitempty"`       // what a proposal needs to come to the vote
	Objections Objections `cbor:"objections,omitzero" yaml:"objections,omitempty"` // what those can do who disagree
}

// Support is what a proposal needs in its discussion, or it is not voted on
// (SPEC §8.1).
type Support struct {
	Sponsors uint64   `cbor:"sponsors" yaml:"sponsors"` // members who support it, besides its author; at most 10,000
	Share    Fraction `cbor:"share" yaml:"share"`       // least part of the roll that supports it, its author included; 0/1: none
}

// Objections are what those can do who disagree (SPEC §8.1, §8.3).
type Objections struct {
	// SetAside is the least part of the electorate that sets a decision aside by
	// objecting to it in the contest period, until it is decided again; 0/1: none.
	SetAside Fraction `cbor:"setAside" yaml:"setAside"`
	// Override is the least part of those who consent or object that decides by
	// consent over objections; 0/1: none does.
	Override Fraction `cbor:"override" yaml:"override"`
}

// Passes reports whether yes votes reach the class's threshold of whole: the
// yes and no votes, or the electorate, as c.Of says. Nothing passes without a
// yes. The quorum is apart: c.Quorum.AtLeast(turnout, electorate).
func (c Class) Passes(yes, whole uint64) bool {
	if yes == 0 {
		return false
	}
	if c.Strict {
		return c.Threshold.Exceeds(yes, whole)
	}
	return c.Threshold.AtLeast(yes, whole)
}

// Needs returns the fewest yes votes that pass, of whole. If none can, because
// the threshold is not valid, it returns the largest uint64.
func (c Class) Needs(whole uint64) uint64 {
	n := c.Threshold.Needs(whole)
	if c.Strict && n != unreachable && !c.Threshold.Exceeds(n, whole) {
		n++
	}
	return max(n, 1)
}

// Class returns the class of that name.
func (c Charter) Class(name string) (Class, bool) {
	for _, k := range c.Classes {
		if k.Name == name {
			return k, true
		}
	}
	return Class{}, false
}

// Office returns the office of that name.
func (c Charter) Office(name string) (Office, bool) {
	for _, o := range c.Offices {
		if o.Name == name {
			return o, true
		}
	}
	return Office{}, false
}
