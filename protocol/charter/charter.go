package charter

// A Charter is a metastate's constitution: its statutes in words, and the
// parameters that rules read (SPEC §5). It stands in the genesis record and
// changes only by decision. Durations are seconds; all numbers are integers.
type Charter struct {
	Version   uint64    `cbor:"version" yaml:"version"`     // of this charter, from 1
	Template  string    `cbor:"template" yaml:"template"`   // which built-in it began as; may be empty
	Statutes  string    `cbor:"statutes" yaml:"statutes"`   // the text members agree to, ≤ 40 KiB
	Admission Admission `cbor:"admission" yaml:"admission"` //
	Offices   []Office  `cbor:"offices" yaml:"offices"`     // sorted by name; at least the clerk's
	Classes   []Class   `cbor:"classes" yaml:"classes"`     // sorted by name; at least ordinary
	Suspend   int64     `cbor:"suspend" yaml:"suspend"`     // longest lone suspension; ≤ 72 h
}

// Admission says who becomes a member and how (SPEC §5.2).
type Admission struct {
	Policy     string `cbor:"policy" yaml:"policy"`         // open, invite or registrar
	Invites    string `cbor:"invites" yaml:"invites"`       // who may invite: members or officers
	Registrars uint64 `cbor:"registrars" yaml:"registrars"` // with policy registrar: approvals needed
	MaxUses    uint64 `cbor:"maxUses" yaml:"maxUses"`       // most uses of one invite
	MaxAge     int64  `cbor:"maxAge" yaml:"maxAge"`         // longest life of an invite
}

// An Office is a duty that members hold for a term.
type Office struct {
	Name  string `cbor:"name" yaml:"name"`
	Seats uint64 `cbor:"seats" yaml:"seats"` // most holders
	Term  int64  `cbor:"term" yaml:"term"`   // 0: until recalled
}

// A Class says how decisions of a kind are taken (SPEC §5.3).
type Class struct {
	Name       string   `cbor:"name" yaml:"name"`
	Threshold  Fraction `cbor:"threshold" yaml:"threshold"`   // for yes; more than it if Strict, else at least it
	Strict     bool     `cbor:"strict" yaml:"strict"`         //
	Of         string   `cbor:"of" yaml:"of"`                 // threshold of: votes (yes and no) or roll (the electorate)
	Quorum     Fraction `cbor:"quorum" yaml:"quorum"`         // least part of the electorate that votes
	Discussion int64    `cbor:"discussion" yaml:"discussion"` // before the vote
	Freeze     int64    `cbor:"freeze" yaml:"freeze"`         // text fixed, before the vote
	Voting     int64    `cbor:"voting" yaml:"voting"`         // shortest vote
	Contest    int64    `cbor:"contest" yaml:"contest"`       // after the result
	Exit       int64    `cbor:"exit" yaml:"exit"`             // before it takes effect
}

// A Fraction is compared exactly, in integers. In YAML it is written "2/3".
type Fraction struct {
	Num uint64 `cbor:"num"`
	Den uint64 `cbor:"den"`
}
