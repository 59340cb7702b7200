package state_test

import (
	"slices"
	"strconv"
	"strings"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/charter"
	"github.com/metastate-p2p/metastate/protocol/decision"
	"github.com/metastate-p2p/metastate/protocol/roll"
	"github.com/metastate-p2p/metastate/protocol/state/statetest"
)

// how takes the words off the end of a line that say in what a record differs.
func (p *play) how(by string, args []string) (how statetest.How, rest []string) {
	guard := ""
	for i := 0; i < len(args); i++ {
		switch args[i] {
		case "fork":
			how.Fork = true
		case "after":
			i++
			for l := range strings.SplitSeq(args[i], ",") {
				how.After = append(how.After, p.record(l))
			}
		case "seq":
			i++
			how.Seq, _ = strconv.ParseUint(args[i], 10, 8)
		case "as":
			i++
			how.Persona = args[i]
		case "at": // HEIGHT of the checkpoint that it cites
			i++
			height, _ := strconv.ParseUint(args[i], 10, 64)
			how.Ref = protocol.Ref{Height: height, ID: p.held.checkpoints[height]}
		case "rooted":
			how.Rooted = true
		case "claiming":
			i++
			how.Time = p.seconds(args[i])
		case "guard": // THRESHOLD/DELAY/NAME,…
			i++
			guard = args[i]
		default:
			rest = append(rest, args[i])
		}
	}
	if x := strings.Split(guard, "/"); len(x) == 3 {
		if len(rest) == 2 { // an admission's newcomer, else the author
			by = rest[0]
		}
		n, _ := strconv.ParseUint(x[0], 10, 8)
		how.Guard = p.w.Guardians(by, uint8(n), p.seconds(x[1])-statetest.Start, strings.Split(x[2], ",")...)
	}
	return how, rest
}

func (p *play) draw(label, by, verb string, args []string) *protocol.Record {
	how, args := p.how(by, args)
	arg := func(i int) string {
		if i >= len(args) {
			p.fail("a word is missing")
		}
		return args[i]
	}
	personas := func(names []string) (ids []protocol.ID) {
		for _, n := range names {
			ids = append(ids, p.w.Persona(n))
		}
		slices.SortFunc(ids, protocol.ID.Compare)
		return ids
	}
	switch verb {
	case "invite":
		uses, _ := strconv.ParseUint(arg(0), 10, 64)
		return p.w.Invite(by, label, uses, p.seconds(arg(1)), how)
	case "revoke":
		return p.w.Record(by, protocol.InviteRevoke, roll.InviteRevokeBody{Invite: p.record(arg(0)).ID()}, how)
	case "admit":
		return p.w.Admit(by, arg(0), arg(1), p.record(arg(1)).ID(), how)
	case "approve":
		return p.w.Approve(by, arg(0), how)
	case "grant":
		return p.w.Grant(by, arg(0), how)
	case "suspend", "expel":
		body := roll.RestrictBody{Persona: p.w.Persona(arg(0)), Reason: "harm"}
		if len(args) > 2 { // upto LABEL
			body.Cut = []roll.Place{p.place(arg(2))}
		}
		return p.w.Record(by, protocol.Kind(verb), body, how)
	case "endorse":
		return p.w.Record(by, protocol.Endorse, roll.EndorseBody{Act: p.record(arg(0)).ID()}, how)
	case "recall": // OFFICE NAME,… for NAME,…
		body := roll.RecallBody{Office: arg(0), Reason: "harm"}
		for i, list := range args[1:] {
			switch {
			case list == "from": // the last checkpoint, and no other
				body.From = p.w.Ref.ID
			case list == "for" || list == "-":
			case i == 0:
				body.Out = personas(strings.Split(list, ","))
			default:
				for name := range strings.SplitSeq(list, ",") {
					body.In = append(body.In, roll.Clerkship{Persona: p.w.Persona(name), Key: statetest.Key("device/" + name).Public()})
				}
				slices.SortFunc(body.In, func(a, b roll.Clerkship) int { return a.Persona.Compare(b.Persona) })
			}
		}
		return p.w.Record(by, protocol.Recall, body, how)
	case "resign":
		return p.w.Record(by, protocol.Resign, roll.ResignBody{Office: arg(0)}, how)
	case "serve":
		return p.w.Record(by, protocol.Serve, roll.ServeBody{}, how)
	case "accuse": // DEVICE HEIGHT [once|forged|under RECALL]
		return p.w.Record(by, protocol.Evidence, p.evidence(arg(0), arg(1), args[2:]), how)
	case "rotate":
		return p.w.Rotate(by, how)
	case "recover": // NAME HEIR|- [missalted]
		return p.w.Record(by, protocol.Recover, p.recovery(by, arg(0), arg(1), args[2:]), how)
	case "disown": // DEVICE [upto LABEL|-] [spare LABEL]
		body := roll.RevokeBody{Cut: roll.Place{Device: statetest.Key("device/" + arg(0)).Public()}}
		if len(args) > 2 && arg(2) != "-" {
			body.Cut = p.place(arg(2))
		}
		if len(args) > 4 {
			body.Spare = []protocol.ID{p.record(arg(4)).ID()}
		}
		return p.w.Disown(by, body, how)
	case "leave":
		var body roll.LeaveBody
		if len(args) > 0 { // to FORK NAME HEIGHT
			height, _ := strconv.ParseUint(arg(3), 10, 64)
			body.To = &roll.Move{Metastate: p.elsewhere(arg(1)), Persona: p.elsewhere(arg(2)), Height: height}
		}
		return p.w.Record(by, protocol.Leave, body, how)
	case "appoint":
		return p.w.Record(by, protocol.Appoint, roll.AppointBody{Office: arg(0), Personas: personas(args[1:])}, how)
	case "withdraw", "support", "contest", "dissent", "delegate", "comment", "revise":
		return p.debates(label, by, verb, args, how)
	case "propose":
		body := decision.ProposeBody{Title: label, Method: "yes-no", Class: arg(0), Voting: p.seconds(arg(1)) - statetest.Start}
		if len(args) > 2 {
			p.effect(&body, args[2:])
		}
		return p.w.Record(by, protocol.Propose, body, how)
	case "vote":
		return p.ballot(by, arg(0), arg(1), args[2:], how)
	case "nonsense":
		return p.w.Record(by, protocol.Kind(arg(0)), map[string]int{label: 1}, how)
	}
	p.fail("no such act")
	return nil
}

// elsewhere is the id of what a word names in another metastate: "here" is this
// one, and "-" nothing.
func (p *play) elsewhere(word string) protocol.ID {
	switch word {
	case "here":
		return p.w.Genesis.ID()
	case "-":
		return protocol.ID{}
	}
	return protocol.Sum([]byte(word))
}

// recovery is a guardian's word, or that of one who gives another's salt.
func (p *play) recovery(by, of, heir string, fault []string) roll.RecoverBody {
	guardian, _, _ := strings.Cut(by, "/")
	body := roll.RecoverBody{Persona: p.w.Persona(of), Salt: statetest.Salt(of, guardian)}
	if heir != "-" {
		h := statetest.Heir(heir)
		body.Key, body.Next = h.Key, h.Next
		p.heirs[h] = heir
	}
	if len(fault) > 0 {
		body.Salt[0]++
	}
	return body
}

// evidence is two precommits of a device at a height, or what only looks like it.
func (p *play) evidence(device, height string, fault []string) roll.EvidenceBody {
	key := statetest.Key("device/" + device)
	body := roll.EvidenceBody{Key: key.Public(), Kind: protocol.AgreePrecommit}
	body.Height, _ = strconv.ParseUint(height, 10, 64)
	for i := range byte(2) {
		value := protocol.ID{31: i}
		if slices.Contains(fault, "once") {
			value = protocol.ID{}
		}
		if n := len(fault); n > 1 && fault[n-2] == "under" {
			body.Era = p.record(fault[n-1]).ID()
		}
		s := protocol.Statement{Kind: body.Kind, Height: body.Height, Value: value, ValidRound: -1, Era: body.Era}
		sig := key.Sign(s.Bytes(p.w.Genesis.ID()))
		if slices.Contains(fault, "forged") {
			sig[40] ^= 1
		}
		body.Claims = append(body.Claims, roll.Claim{Value: value[:], Sig: sig[:]})
	}
	return body
}

// place is the end of a device's chain at one of its records.
func (p *play) place(label string) roll.Place {
	h := p.record(label).Header()
	return roll.Place{Device: h.Key, Next: h.Seq + 1, Head: p.record(label).ID()}
}

// effect reads what a decision does: "expel NAME", "admit NAME",
// "elect OFFICE SEATS NAME…", "amend PARAMETER [of PARAMETER]".
func (p *play) effect(body *decision.ProposeBody, words []string) {
	switch words[0] {
	case "ask": // METHOD [OPTION,…] [lot|listed]
		body.Method = words[1]
		if len(words) > 2 {
			body.Options = strings.Split(words[2], ",")
		}
		if len(words) > 3 {
			body.Tie = words[3]
		}
		return
	case "rehearse":
		body.Rehearsal = true
		if len(words) > 1 {
			p.effect(body, words[1:])
		}
		return
	case "confirm": // POLL
		asked, _ := protocol.Body[decision.ProposeBody](p.record(words[1]))
		asked.Title, asked.Voting, asked.Confirms = body.Title, body.Voting, p.record(words[1]).ID()
		*body = asked
		return
	}
	body.Act = &decision.Act{Kind: words[0]}
	switch words[0] {
	case decision.Elect:
		body.Method, body.Act.Office = "plurality", words[1]
		body.Seats, _ = strconv.ParseUint(words[2], 10, 64)
		for _, name := range words[3:] {
			body.Options = append(body.Options, p.w.Persona(name).String())
		}
	case decision.Amend:
		now := p.s.Charter()
		next := *now
		next.Offices, next.Classes = slices.Clone(now.Offices), slices.Clone(now.Classes)
		body.Act.Base, body.Act.Charter = now.ID(), &next
		if len(words) > 3 { // of another charter than that in force
			p.parameter(&next, words[3])
			body.Act.Base = next.ID()
		}
		p.parameter(&next, words[1])
	default:
		body.Act.Persona = p.w.Persona(words[1])
	}
}

// parameter changes the charter: "suspend=72h", "clerk.seats=3",
// "ordinary.contest=1h".
func (p *play) parameter(ch *charter.Charter, word string) {
	name, value, _ := strings.Cut(word, "=")
	of, field, _ := strings.Cut(name, ".")
	n, _ := strconv.ParseUint(value, 10, 64)
	duration := func() int64 { return p.seconds(value) - statetest.Start }
	if i := slices.IndexFunc(ch.Offices, func(o charter.Office) bool { return o.Name == of }); i >= 0 {
		if field == "term" {
			ch.Offices[i].Term = duration()
		} else {
			ch.Offices[i].Seats = n
		}
		return
	}
	if i := slices.IndexFunc(ch.Classes, func(c charter.Class) bool { return c.Name == of }); i >= 0 {
		c := &ch.Classes[i]
		periods := map[string]*int64{"discussion": &c.Discussion, "freeze": &c.Freeze, "voting": &c.Voting, "contest": &c.Contest, "exit": &c.Exit}
		switch {
		case periods[field] != nil:
			*periods[field] = duration()
		case field == "quorum":
			c.Quorum, _ = charter.ParseFraction(value)
		case field == "of":
			c.Of = value
		case field == "quorumof":
			c.QuorumOf = value
		case field == "sponsors":
			c.Support = charter.Support{Sponsors: n, Share: charter.Fraction{Den: 1}}
		case field == "share":
			c.Support.Share, _ = charter.ParseFraction(value)
		case field == "setaside":
			c.Objections.SetAside, _ = charter.ParseFraction(value)
			c.Objections.Override.Den = 1
		case field == "override":
			c.Objections.Override, _ = charter.ParseFraction(value)
			c.Objections.SetAside.Den = 1
		default:
			p.fail("no such parameter")
		}
		return
	}
	switch name {
	case "delegation":
		ch.Delegation.Cap = n
	case "assist": // OFFICE/CAP
		office, most, _ := strings.Cut(value, "/")
		ch.Assist.Office = office
		ch.Assist.Cap, _ = strconv.ParseUint(most, 10, 64)
	case "without":
		ch.Offices = slices.DeleteFunc(ch.Offices, func(o charter.Office) bool { return o.Name == value })
	case "suspend":
		ch.Suspend = duration()
	case "policy":
		ch.Admission.Policy = value
	case "invites":
		ch.Admission.Invites = value
	case "registrars":
		ch.Admission.Registrars = n
	case "vouch": // NEEDS/AGE/CAP
		x := strings.Split(value, "/")
		ch.Admission.Policy = charter.PolicyVouch
		ch.Admission.Vouch.Needs, _ = strconv.ParseUint(x[0], 10, 64)
		ch.Admission.Vouch.Age = p.seconds(x[1]) - statetest.Start
		ch.Admission.Vouch.Cap, _ = strconv.ParseUint(x[2], 10, 64)
	case "statutes":
		ch.Statutes = strings.ReplaceAll(value, "_", " ")
	default:
		p.fail("no such parameter")
	}
}
