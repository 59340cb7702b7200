package httpapi

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/metastate-p2p/metastate/node"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/charter"
)

// routeMembers serves the node's metastates, and who belongs to each.
func (a *api) routeMembers(mux *http.ServeMux) {
	mux.Handle("GET /api/v1/status", answer(a, queryTime, a.status))
	mux.Handle("GET /api/v1/doctor", answer(a, bundleTime, a.doctor))
	mux.Handle("POST /api/v1/metastates", answer(a, actTime, a.found))
	mux.Handle("POST /api/v1/memberships", answer(a, actTime, a.join))
	mux.Handle("DELETE /api/v1/memberships", inside(a, actTime, leave))
	mux.Handle("POST /api/v1/joins/end", answer(a, actTime, a.giveUp))

	mux.Handle("GET /api/v1/invites", inside(a, queryTime, invites))
	mux.Handle("POST /api/v1/invites", inside(a, actTime, createInvite))
	mux.Handle("DELETE /api/v1/invites", inside(a, actTime, revokeInvite))

	mux.Handle("GET /api/v1/roll", inside(a, queryTime, roll))
	mux.Handle("GET /api/v1/roll/member", inside(a, queryTime, rollMember))
	mux.Handle("GET /api/v1/roll/why", inside(a, queryTime, rollWhy))
	mux.Handle("GET /api/v1/roll/proof", inside(a, queryTime, proveStanding))
	mux.Handle("GET /api/v1/why", inside(a, queryTime, why))
	mux.Handle("POST /api/v1/roll/admission", inside(a, actTime, admit))

	mux.Handle("GET /api/v1/charter", inside(a, queryTime, charterText))
	mux.Handle("GET /api/v1/offices", inside(a, queryTime, offices))
}

// status is every metastate, or the one that metastate names.
func (a *api) status(r *http.Request) (StatusList, error) {
	if ref := r.URL.Query().Get("metastate"); ref != "" {
		c, err := a.community(ref)
		if err != nil {
			return StatusList{}, err
		}
		return StatusList{Metastates: []node.Status{c.Status()}}, nil
	}
	return StatusList{Metastates: orEmpty(a.host.Status())}, nil
}

func (a *api) doctor(r *http.Request) (node.Checkup, error) { return a.host.Doctor(r.Context()) }

func (a *api) found(r *http.Request) (node.Membership, error) {
	req, err := decode[node.FoundRequest](r)
	defer clear(req.Passphrase)
	if err != nil {
		return node.Membership{}, err
	}
	return a.host.Found(r.Context(), req)
}

func (a *api) join(r *http.Request) (node.Membership, error) {
	req, err := decode[node.JoinRequest](r)
	defer clear(req.Passphrase)
	if err != nil {
		return node.Membership{}, err
	}
	return a.host.Join(r.Context(), req)
}

// giveUp gives up joining. There is nothing to tell of it.
func (a *api) giveUp(r *http.Request) (struct{}, error) {
	req, err := decode[node.GiveUpRequest](r)
	defer clear(req.Passphrase)
	if err != nil {
		return struct{}{}, err
	}
	return struct{}{}, a.host.GiveUp(r.Context(), r.URL.Query().Get("metastate"), req)
}

func leave(r *http.Request, c Community) (node.RecordRef, error) { return c.Leave(r.Context()) }

func invites(_ *http.Request, c Community) (InviteList, error) {
	return InviteList{Invites: orEmpty(c.Invites())}, nil
}

func createInvite(r *http.Request, c Community) (node.InviteLink, error) {
	req, err := decode[node.InviteRequest](r)
	if err != nil {
		return node.InviteLink{}, err
	}
	return c.CreateInvite(r.Context(), req)
}

func revokeInvite(r *http.Request, c Community) (node.RecordRef, error) {
	id, err := findInvite(c.Invites(), r.URL.Query().Get("invite"))
	if err != nil {
		return node.RecordRef{}, err
	}
	return c.RevokeInvite(r.Context(), id)
}

// findInvite returns the one invite whose id is ref or begins with it.
func findInvite(all []node.InviteEntry, ref string) (id protocol.ID, err error) {
	found := 0
	for _, e := range all {
		if ref != "" && strings.HasPrefix(e.Invite.String(), ref) {
			id = e.Invite
			found++
		}
	}
	switch found {
	case 0:
		return id, &node.Error{
			Code: "not-found", Exit: node.ExitNotFound,
			Message: fmt.Sprintf("there is no invite %q", ref), Hint: "metastate invite list",
		}
	case 1:
		return id, nil
	}
	return protocol.ID{}, &node.Error{
		Code: "ambiguous", Exit: node.ExitUsage,
		Message: fmt.Sprintf("%d invites begin with %q", found, ref), Hint: "give more of the id: metastate invite list",
	}
}

func roll(r *http.Request, c Community) (node.RollList, error) {
	q := r.URL.Query()
	var asOf *uint64
	if text := q.Get("asOf"); text != "" {
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			return node.RollList{}, badRequest("asOf is the height of a checkpoint, not %q", text)
		}
		asOf = &n
	}
	list, err := c.Roll(asOf, q.Get("provisional") == "true")
	list.Members = orEmpty(list.Members)
	for i := range list.Members {
		list.Members[i].Offices = orEmpty(list.Members[i].Offices)
	}
	return list, err
}

// member returns the persona that the request names.
func member(r *http.Request, c Community) (protocol.ID, error) {
	return c.Member(r.URL.Query().Get("persona"))
}

func rollMember(r *http.Request, c Community) (node.RollEntry, error) {
	id, err := member(r, c)
	if err != nil {
		return node.RollEntry{}, err
	}
	list, err := c.Roll(nil, true)
	if err != nil {
		return node.RollEntry{}, err
	}
	for _, e := range list.Members {
		if e.Persona == id {
			e.Offices = orEmpty(e.Offices)
			return e, nil
		}
	}
	return node.RollEntry{}, &node.Error{
		Code: "not-found", Exit: node.ExitNotFound,
		Message: fmt.Sprintf("%s is not on the roll", id), Hint: "metastate roll list --provisional",
	}
}

func proveStanding(r *http.Request, c Community) (StandingProof, error) {
	id, err := member(r, c)
	if err != nil {
		return StandingProof{}, err
	}
	b, err := c.ProveStanding(id)
	return StandingProof{Proof: b}, err
}

// why explains whatever ref names.
func why(r *http.Request, c Community) (node.Why, error) {
	w, err := c.Why(r.URL.Query().Get("ref"))
	w.Because = orEmpty(w.Because)
	return w, err
}

func rollWhy(r *http.Request, c Community) (node.Why, error) {
	id, err := member(r, c)
	if err != nil {
		return node.Why{}, err
	}
	why, err := c.RollWhy(id)
	why.Because = orEmpty(why.Because)
	return why, err
}

func admit(r *http.Request, c Community) (node.RecordRef, error) {
	id, err := member(r, c)
	if err != nil {
		return node.RecordRef{}, err
	}
	return c.Admit(r.Context(), id)
}

// charterOf returns the charter in force. There is none while joining.
func charterOf(c Community) (charter.Charter, error) {
	ch := c.Charter()
	if ch.Version == 0 {
		return ch, &node.Error{
			Code: "not-found", Exit: node.ExitNotFound,
			Message: "the charter is not known here until another member has sent it", Hint: "metastate status",
		}
	}
	return ch, nil
}

func charterText(_ *http.Request, c Community) (CharterText, error) {
	ch, err := charterOf(c)
	if err != nil {
		return CharterText{}, err
	}
	return CharterText{YAML: string(charter.YAML(ch))}, nil
}

func offices(_ *http.Request, c Community) (OfficeList, error) {
	ch, err := charterOf(c)
	if err != nil {
		return OfficeList{}, err
	}
	list, err := c.Roll(nil, false)
	if err != nil {
		return OfficeList{}, err
	}
	out := OfficeList{Offices: []Office{}}
	for _, o := range ch.Offices {
		office := Office{Office: o.Name, Seats: o.Seats, Term: (time.Duration(o.Term) * time.Second).String(), Holders: []Holder{}}
		for _, m := range list.Members {
			for _, held := range m.Offices {
				if held == o.Name {
					office.Holders = append(office.Holders, Holder{Persona: m.Persona, Name: m.Name})
				}
			}
		}
		out.Offices = append(out.Offices, office)
	}
	return out, nil
}

// orEmpty makes an absent list an empty one: JSON has [] for it, never null.
func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
