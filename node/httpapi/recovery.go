package httpapi

import (
	"context"
	"net/http"

	"github.com/metastate-p2p/metastate/node"
)

// recovery is how guardians give a persona another key.
type recovery interface {
	Guardians() (node.GuardianSet, error)
	Recoveries() (node.RecoveryList, error)
	Support(ctx context.Context, request, code string) (node.RecordRef, error)
	Withdraw(ctx context.Context, code string) (node.RecordRef, error)
}

// routeRecovery serves keys and guardians.
func (a *api) routeRecovery(mux *http.ServeMux) {
	mux.Handle("POST /api/v1/rotations", answer(a, actTime, a.rotate))
	mux.Handle("GET /api/v1/guardians", inside(a, queryTime, guardians))
	mux.Handle("GET /api/v1/recoveries", inside(a, queryTime, recoveries))
	mux.Handle("POST /api/v1/recoveries", answer(a, actTime, a.requestRecovery))
	mux.Handle("POST /api/v1/recoveries/support", inside(a, actTime, support))
	mux.Handle("POST /api/v1/recoveries/withdrawal", inside(a, actTime, withdraw))
}

type supportRequest struct {
	Request string `json:"request,omitempty"`
	Code    string `json:"code"`
}

func (a *api) rotate(r *http.Request) (node.Rotation, error) {
	req, err := decode[node.RotateRequest](r)
	defer clear(req.Passphrase)
	if err != nil {
		return node.Rotation{}, err
	}
	return a.host.Rotate(r.Context(), req)
}

func (a *api) requestRecovery(r *http.Request) (node.RecoveryRequest, error) {
	req, err := decode[node.RecoveryAsk](r)
	defer clear(req.Passphrase)
	if err != nil {
		return node.RecoveryRequest{}, err
	}
	return a.host.RequestRecovery(r.Context(), req)
}

func guardians(_ *http.Request, c Community) (node.GuardianSet, error) { return c.Guardians() }

func recoveries(_ *http.Request, c Community) (node.RecoveryList, error) { return c.Recoveries() }

func support(r *http.Request, c Community) (node.RecordRef, error) {
	req, err := decode[supportRequest](r)
	if err != nil {
		return node.RecordRef{}, err
	}
	return c.Support(r.Context(), req.Request, req.Code)
}

func withdraw(r *http.Request, c Community) (node.RecordRef, error) {
	req, err := decode[supportRequest](r)
	if err != nil {
		return node.RecordRef{}, err
	}
	return c.Withdraw(r.Context(), req.Code)
}

// Rotate moves a persona on to its next key, and chooses guardians if asked. The
// caller wipes the passphrase.
func (c *Client) Rotate(ctx context.Context, req node.RotateRequest) (node.Rotation, error) {
	return post[node.Rotation](ctx, c, "/rotations", nil, req)
}

// RequestRecovery begins to take up a persona whose keys are lost. The caller
// wipes the passphrase.
func (c *Client) RequestRecovery(ctx context.Context, req node.RecoveryAsk) (node.RecoveryRequest, error) {
	return post[node.RecoveryRequest](ctx, c, "/recoveries", nil, req)
}

// Guardians says how many guardians one's own persona has.
func (in Inside) Guardians(ctx context.Context) (node.GuardianSet, error) {
	return get[node.GuardianSet](ctx, in, "/guardians")
}

// Recoveries lists what guardians want.
func (in Inside) Recoveries(ctx context.Context) (node.RecoveryList, error) {
	return get[node.RecoveryList](ctx, in, "/recoveries")
}

// Support says, as a guardian, which key a persona shall go on with.
func (in Inside) Support(ctx context.Context, request, code string) (node.RecordRef, error) {
	return post[node.RecordRef](ctx, in.client, "/recoveries/support", about(in.ref), supportRequest{request, code})
}

// Withdraw takes a guardian's word back.
func (in Inside) Withdraw(ctx context.Context, code string) (node.RecordRef, error) {
	return post[node.RecordRef](ctx, in.client, "/recoveries/withdrawal", about(in.ref), supportRequest{Code: code})
}
