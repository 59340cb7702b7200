package protocol

// A Rule names the rule of the SPEC that decided something, such as
// "admit/invite".
type Rule string

// A Reason says which rule, applied to which record, decided a fact, and why in
// words that a member can read. The words are not part of the state: they may
// be bettered or translated without changing any root.
type Reason struct {
	Rule   Rule   `cbor:"rule" json:"rule"`
	Record ID     `cbor:"record,omitzero" json:"record"`
	Text   string `cbor:"-" json:"text"`
}

// A Verdict says whether a record has the effect that it states. A record
// without effect is kept all the same: it is part of the history.
type Verdict struct {
	Stands bool
	Reason
}

// Stand is the verdict that r has effect.
func Stand(r *Record, rule Rule, text string) Verdict {
	return Verdict{Stands: true, Reason: Reason{Rule: rule, Record: r.id, Text: text}}
}

// Void is the verdict that r has no effect.
func Void(r *Record, rule Rule, text string) Verdict {
	return Verdict{Reason: Reason{Rule: rule, Record: r.id, Text: text}}
}
