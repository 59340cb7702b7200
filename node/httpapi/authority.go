package httpapi

import (
	"net/http"
	"time"

	"github.com/metastate-p2p/metastate/node"
	"github.com/metastate-p2p/metastate/protocol"
)

// routeAuthority serves what members do about each other and the offices.
func (a *api) routeAuthority(mux *http.ServeMux) {
	mux.Handle("POST /api/v1/roll/suspension", inside(a, actTime, suspend))
	mux.Handle("POST /api/v1/roll/expulsion", inside(a, actTime, expel))
	mux.Handle("POST /api/v1/roll/endorsement", inside(a, actTime, endorse))
	mux.Handle("GET /api/v1/motions", inside(a, queryTime, motions))
	mux.Handle("POST /api/v1/motions/endorsement", inside(a, actTime, endorseAct))
	mux.Handle("POST /api/v1/offices", inside(a, actTime, appoint))
	mux.Handle("POST /api/v1/offices/recall", inside(a, actTime, recall))
	mux.Handle("DELETE /api/v1/offices", inside(a, actTime, resign))
	mux.Handle("GET /api/v1/dispute", inside(a, queryTime, dispute))
	mux.Handle("POST /api/v1/dispute/follow", inside(a, orderTime, follow))
	mux.Handle("POST /api/v1/dispute/part", inside(a, orderTime, part))
}

// orderTime bounds an order about a dispute: a long history is judged again.
const orderTime = 10 * time.Minute

type followRequest struct {
	Checkpoint string `json:"checkpoint"` // ref
}

type reasonRequest struct {
	Reason string `json:"reason"`
}

type appointRequest struct {
	Office   string   `json:"office"`
	Personas []string `json:"personas"` // refs
}

type recallRequest struct {
	Office string   `json:"office"`
	Reason string   `json:"reason"`
	Out    []string `json:"out"` // refs
	In     []string `json:"in"`  // refs
}

func suspend(r *http.Request, c Community) (node.RecordRef, error) {
	req, id, err := aboutPersona(r, c)
	if err != nil {
		return node.RecordRef{}, err
	}
	return c.Suspend(r.Context(), id, req.Reason)
}

func expel(r *http.Request, c Community) (node.RecordRef, error) {
	req, id, err := aboutPersona(r, c)
	if err != nil {
		return node.RecordRef{}, err
	}
	return c.Expel(r.Context(), id, req.Reason)
}

func aboutPersona(r *http.Request, c Community) (reasonRequest, protocol.ID, error) {
	req, err := decode[reasonRequest](r)
	if err != nil {
		return req, protocol.ID{}, err
	}
	id, err := member(r, c)
	return req, id, err
}

func endorse(r *http.Request, c Community) (node.RecordRef, error) {
	id, err := member(r, c)
	if err != nil {
		return node.RecordRef{}, err
	}
	return c.Endorse(r.Context(), id)
}

func endorseAct(r *http.Request, c Community) (node.RecordRef, error) {
	id, err := c.Motion(r.URL.Query().Get("act"))
	if err != nil {
		return node.RecordRef{}, err
	}
	return c.EndorseAct(r.Context(), id)
}

func motions(_ *http.Request, c Community) (node.MotionList, error) { return c.Motions() }

func appoint(r *http.Request, c Community) (node.RecordRef, error) {
	req, err := decode[appointRequest](r)
	if err != nil {
		return node.RecordRef{}, err
	}
	ids, err := members(c, req.Personas)
	if err != nil {
		return node.RecordRef{}, err
	}
	return c.Appoint(r.Context(), req.Office, ids)
}

func recall(r *http.Request, c Community) (node.RecordRef, error) {
	req, err := decode[recallRequest](r)
	if err != nil {
		return node.RecordRef{}, err
	}
	out, err := members(c, req.Out)
	if err != nil {
		return node.RecordRef{}, err
	}
	in, err := members(c, req.In)
	if err != nil {
		return node.RecordRef{}, err
	}
	return c.Recall(r.Context(), node.RecallRequest{Office: req.Office, Reason: req.Reason, Out: out, In: in})
}

func resign(r *http.Request, c Community) (node.RecordRef, error) {
	return c.Resign(r.Context(), r.URL.Query().Get("office"))
}

func dispute(_ *http.Request, c Community) (node.Dispute, error) { return c.Dispute() }

func follow(r *http.Request, c Community) (node.Dispute, error) {
	req, err := decode[followRequest](r)
	if err != nil {
		return node.Dispute{}, err
	}
	return c.Follow(r.Context(), req.Checkpoint)
}

func part(r *http.Request, c Community) (node.Dispute, error) { return c.Part(r.Context()) }

// members are the personas that refs name.
func members(c Community, refs []string) ([]protocol.ID, error) {
	ids := make([]protocol.ID, 0, len(refs))
	for _, ref := range refs {
		id, err := c.Member(ref)
		if err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, nil
}
