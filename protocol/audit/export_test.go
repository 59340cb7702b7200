package audit

import (
	"slices"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/bundle"
	"github.com/metastate-p2p/metastate/protocol/certificate"
	"github.com/metastate-p2p/metastate/protocol/decision"
	"github.com/metastate-p2p/metastate/protocol/decision/committee"
)

// doctors make of what was gathered on a secret vote what a state that computes
// wrongly would make of it.
var doctors = map[string]func(*trail){
	"another electorate": func(t *trail) { t.change(func(p *decision.Poll) { p.Electorate++ }) },
	"another roll": func(t *trail) {
		t.change(func(p *decision.Poll) {
			s := *p.Secret
			s.Roll = make([]byte, 32)
			p.Secret = &s
		})
	},
	"the trustees say nothing": func(t *trail) { t.said = nil },
	"a deal is not heard":      func(t *trail) { t.unhear(committee.Deal) },
	"an announcement is not heard": func(t *trail) {
		t.unhear(committee.Announce)
		t.unhear(committee.Announce)
	},
	"a ballot does not count": func(t *trail) {
		t.reclose(func(p *decision.Poll) { p.Ballots = p.Ballots.Delete(t.lastVoter()) })
	},
	"a ballot counts twice": func(t *trail) {
		t.reclose(func(p *decision.Poll) {
			v, _ := p.Ballots.Get(t.lastVoter())
			p.Ballots = p.Ballots.Put(protocol.ID{1}, v)
		})
	},
	"an earlier ballot counts": func(t *trail) {
		t.reclose(func(p *decision.Poll) {
			v := *t.vote()
			v.Ballot = protocol.ID{1}
			p.Ballots = p.Ballots.Put(t.lastVoter(), &v)
		})
	},
	"a ballot without a proof counts": func(t *trail) {
		i := slices.IndexFunc(t.cast, func(c cast) bool { return !c.verdict.Stands })
		t.cast[i].verdict.Stands = true
	},
	"a ballot counts that came late": func(t *trail) { t.cast[len(t.cast)-1].base += 1000; t.standing() },
	"a ballot counts of nobody":      func(t *trail) { t.cast[0].voter = protocol.ID{1}; t.standing() },
	"no closing":                     func(t *trail) { t.closing.has, t.closing.claimed = false, certificate.Closing{} },
	"the closing counts more":        func(t *trail) { t.closing.claimed.Count++ },
	"too few acknowledge":            func(t *trail) { t.opens = t.opens[2:] },
	"a share is taken that does not hold": func(t *trail) {
		i := slices.IndexFunc(t.opens, func(o opens) bool { return o.verdict.Rule == decision.RuleBadShare })
		t.opens[i].verdict.Stands = true
	},
	"a share is refused that holds": func(t *trail) {
		i := slices.IndexFunc(t.opens, func(o opens) bool { return o.verdict.Rule == decision.RuleShare })
		t.opens[i].verdict.Stands, t.opens[i].verdict.Rule = false, decision.RuleBadShare
	},
	"another result": func(t *trail) {
		t.change(func(p *decision.Poll) {
			r := *p.Result
			r.Counted++
			p.Result = &r
		})
	},
}

// RunDoctored is Run with what is gathered changed before it is judged.
func RunDoctored(src *bundle.Reader, c Config, what string) (Report, error) {
	r, err := gather(src, c)
	if err != nil {
		return Report{}, err
	}
	doctors[what](r.trail)
	return r.report()
}

// Doctors are what RunDoctored can change.
func Doctors() (list []string) {
	for what := range doctors {
		list = append(list, what)
	}
	return list
}

func (t *trail) change(change func(*decision.Poll)) {
	p := *t.poll
	change(&p)
	t.poll = &p
}

func (t *trail) reclose(change func(*decision.Poll)) {
	p := *t.closing.poll
	change(&p)
	t.closing.poll = &p
}

// unhear drops the first message of a stage.
func (t *trail) unhear(stage committee.Stage) {
	for id, list := range t.said {
		i := slices.IndexFunc(list, func(r *protocol.Record) bool {
			body, err := protocol.Body[decision.TrusteeBody](r)
			return err == nil && body.Stage == stage
		})
		t.said[id] = slices.Delete(slices.Clone(list), i, i+1)
	}
}

// standing lets nothing but good ballots be cast.
func (t *trail) standing() {
	t.cast = slices.DeleteFunc(t.cast, func(c cast) bool { return !c.verdict.Stands })
}

func (t *trail) lastVoter() (id protocol.ID) {
	for voter := range t.closing.poll.Ballots.All() {
		id = voter
	}
	return id
}

func (t *trail) vote() *decision.Vote {
	v, _ := t.closing.poll.Ballots.Get(t.lastVoter())
	return v
}
