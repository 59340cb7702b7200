package charter

// requiredClasses are the kinds of decision that every metastate takes, each
// with what could not be decided without it.
var requiredClasses = [...]struct{ name, why string }{
	{ClassCharter, "the charter could never be changed"},
	{ClassElection, "no office could be filled"},
	{ClassExpulsion, "nobody could be expelled by decision"},
	{ClassOrdinary, "nothing could be decided"},
}

func (k *checker) classes(list []Class) {
	if len(list) > MaxClasses {
		k.add("classes", "%d are too many; keep at most %d", len(list), MaxClasses)
		return
	}
	have := map[string]bool{}
	for i, c := range list {
		have[c.Name] = true
		k.class(itemField("class", i, c.Name), c)
	}
	for _, r := range requiredClasses {
		if !have[r.name] {
			k.add("classes", "there is no %q, so that %s; add a class of that name", r.name, r.why)
		}
	}
}

func (k *checker) class(field string, c Class) {
	if !nameOK(c.Name) {
		k.add(field+": name", "%s can't be a name; "+nameRule, quoted(c.Name), "ordinary")
	}
	k.word(field+": of", c.Of, OfVotes, OfRoll)
	k.threshold(field+": threshold", c)
	if k.fraction(field+": quorum", c.Quorum) && c.Quorum.Num > c.Quorum.Den {
		k.add(field+": quorum", "%v is more than the whole group, so that no vote would count; write at most 1/1, or 0/1 for none", c.Quorum)
	}
	k.minority(field, c)
	for _, p := range [...]struct {
		name string
		n    int64
	}{
		{"discussion", c.Discussion},
		{"freeze", c.Freeze},
		{"voting", c.Voting},
		{"contest", c.Contest},
		{"exit", c.Exit},
	} {
		k.period(field+": "+p.name, p.n, 0, MaxPeriod, "nothing would ever be settled")
	}
}

// minority checks what a class may have besides its rule.
func (k *checker) minority(field string, c Class) {
	if c.QuorumOf != "" {
		k.word(field+": quorumOf", c.QuorumOf, OfRoll, OfTurnout)
	}
	if s := c.Support; s != (Support{}) {
		k.span(field+": support: sponsors", s.Sponsors, 0, MaxSponsors)
		if k.fraction(field+": support: share", s.Share) && s.Share.Num > s.Share.Den {
			k.add(field+": support: share", "%v is more than the whole group, so that nothing would come to the vote; write at most 1/1", s.Share)
		}
		if c.Discussion < hour {
			k.add(field+": discussion", "%s is too short to find support in; write at least 1h, or leave support out", formatSeconds(c.Discussion))
		}
	}
	if o := c.Objections; o != (Objections{}) {
		if k.fraction(field+": objections: setAside", o.SetAside) && o.SetAside.Num > 0 && (o.SetAside.Num > o.SetAside.Den || c.Contest == 0) {
			k.add(field+": objections: setAside", "nobody can object so: write at most 1/1, and a contest period")
		}
		if k.fraction(field+": objections: override", o.Override) && o.Override.Num > 0 && (o.Override.AtLeast(1, 2) || o.Override.Num > o.Override.Den) {
			k.add(field+": objections: override", "%v lets no more than half pass over objections, or nobody; write more than 1/2 and at most 1/1, or 0/1 for never", o.Override)
		}
	}
}

// fraction checks what holds for every fraction, and reports whether it does.
func (k *checker) fraction(field string, f Fraction) bool {
	switch {
	case f.Den == 0:
		k.add(field, `%v divides by zero; write a fraction like "1/2"`, f)
	case f.Den > MaxDen || f.Num > MaxDen:
		k.add(field, "%v has a number over %d; write a simpler fraction", f, MaxDen)
	default:
		return true
	}
	return false
}

// threshold refuses those that the whole group can't reach, that nobody
// reaches already, and, where members or the charter are at stake, that a
// minority reaches.
func (k *checker) threshold(field string, c Class) {
	t := c.Threshold
	if !k.fraction(field, t) {
		return
	}
	half := t.Exceeds(1, 2)  // half is more than the threshold
	exact := t.AtLeast(1, 2) // or equal to it
	minority := half || exact && !c.Strict
	switch {
	case t.Num == 0:
		k.add(field, `%v passes with no support at all; write a fraction like "1/2"`, t)
	case t.Num > t.Den:
		k.add(field, `%v is more than the whole group, so that nothing could ever pass; write at most "1/1"`, t)
	case t.Num == t.Den && c.Strict:
		k.add(field, `more than %v can't be reached even by all; write "strict: false", or less than 1/1`, t)
	case c.Name == ClassExpulsion && c.Of == OfVotes:
		k.add(field, `%v of the votes is no bar when few vote, so that two could expel anyone from among 150; write "of: roll"`, t)
	case c.Name == ClassExpulsion && minority:
		k.add(field, `%v is not more than half, so that a minority could expel the others; write "1/2" with "strict: true", or "2/3"`, t)
	case (c.Name == ClassCharter || c.Name == ClassEntrenched) && minority:
		k.add(field, `%v is not more than half, so that a minority could rewrite the charter; write "2/3"`, t)
	}
}
