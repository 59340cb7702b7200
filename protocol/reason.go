package protocol

// A Rule names the rule of the SPEC that decided something, such as
// "admit/invite".
type Rule string

// A Reason says which rule, applied to which record, decided a fact, and why in
// words that a member can read. The words are not part of the state, which keeps
// a [Cause]: they may be bettered or translated without changing any root.
type Reason struct {
	Rule   Rule   `json:"rule"`
	Record ID     `json:"record"`
	Text   string `json:"text"`
}

// A Cause is a [Reason] without words, as states keep it.
type Cause struct {
	Rule   Rule `cbor:"rule"`
	Record ID   `cbor:"record,omitzero"`
}

// Cause is the reason without words.
func (r Reason) Cause() Cause { return Cause{r.Rule, r.Record} }

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
