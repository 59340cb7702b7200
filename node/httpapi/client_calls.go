package httpapi

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/metastate-p2p/metastate/node"
)

// Status returns every metastate, or the one that ref names.
func (c *Client) Status(ctx context.Context, ref string) (StatusList, error) {
	return call[StatusList](ctx, c, http.MethodGet, "/status", about(ref), nil)
}

// Doctor has the node look at what it needs. It reads all that is stored.
func (c *Client) Doctor(ctx context.Context) (node.Checkup, error) {
	return call[node.Checkup](ctx, c, http.MethodGet, "/doctor", nil, nil)
}

// Found founds a metastate. The caller wipes the passphrase.
func (c *Client) Found(ctx context.Context, req node.FoundRequest) (node.Membership, error) {
	return post[node.Membership](ctx, c, "/metastates", nil, req)
}

// Join joins by an invite's link; joining goes on in the node. The caller wipes
// the passphrase.
func (c *Client) Join(ctx context.Context, req node.JoinRequest) (node.Membership, error) {
	return post[node.Membership](ctx, c, "/memberships", nil, req)
}

// In returns the part of the client that is about one metastate: an id, a
// unique beginning of one, or a name; "" is the only one there is.
func (c *Client) In(ref string) Inside { return Inside{client: c, ref: ref} }

// Inside asks about one metastate. Its methods answer as those of [Community].
type Inside struct {
	client *Client
	ref    string
}

// about is a query about a metastate, with further pairs of name and value.
func about(ref string, pairs ...string) url.Values {
	q := url.Values{}
	if ref != "" {
		q.Set("metastate", ref)
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		q.Set(pairs[i], pairs[i+1])
	}
	return q
}

func get[T any](ctx context.Context, in Inside, path string, pairs ...string) (T, error) {
	return call[T](ctx, in.client, http.MethodGet, path, about(in.ref, pairs...), nil)
}

// Leave leaves the metastate.
func (in Inside) Leave(ctx context.Context) (node.RecordRef, error) {
	return call[node.RecordRef](ctx, in.client, http.MethodDelete, "/memberships", about(in.ref), nil)
}

// GiveUp gives up joining the metastate, and forgets it. The caller wipes the
// passphrase.
func (in Inside) GiveUp(ctx context.Context, req node.GiveUpRequest) error {
	_, err := post[struct{}](ctx, in.client, "/joins/end", about(in.ref), req)
	return err
}

// CreateInvite makes an invite.
func (in Inside) CreateInvite(ctx context.Context, req node.InviteRequest) (node.InviteLink, error) {
	return post[node.InviteLink](ctx, in.client, "/invites", about(in.ref), req)
}

// Invites lists the invites on the roll.
func (in Inside) Invites(ctx context.Context) (InviteList, error) {
	return get[InviteList](ctx, in, "/invites")
}

// RevokeInvite revokes the invite whose id is ref or begins with it.
func (in Inside) RevokeInvite(ctx context.Context, ref string) (node.RecordRef, error) {
	return call[node.RecordRef](ctx, in.client, http.MethodDelete, "/invites", about(in.ref, "invite", ref), nil)
}

// Roll lists the members, as of a checkpoint's height if asOf is not nil.
func (in Inside) Roll(ctx context.Context, asOf *uint64, provisional bool) (node.RollList, error) {
	var pairs []string
	if asOf != nil {
		pairs = append(pairs, "asOf", strconv.FormatUint(*asOf, 10))
	}
	if provisional {
		pairs = append(pairs, "provisional", "true")
	}
	return get[node.RollList](ctx, in, "/roll", pairs...)
}

// RollMember returns one entry of the roll.
func (in Inside) RollMember(ctx context.Context, persona string) (node.RollEntry, error) {
	return get[node.RollEntry](ctx, in, "/roll/member", "persona", persona)
}

// ProveStanding returns the proof of a persona's standing.
func (in Inside) ProveStanding(ctx context.Context, persona string) (StandingProof, error) {
	return get[StandingProof](ctx, in, "/roll/proof", "persona", persona)
}

// Why explains a persona, an office, a proposal or a record.
func (in Inside) Why(ctx context.Context, ref string) (node.Why, error) {
	return get[node.Why](ctx, in, "/why", "ref", ref)
}

// RollWhy explains a persona's standing.
func (in Inside) RollWhy(ctx context.Context, persona string) (node.Why, error) {
	return get[node.Why](ctx, in, "/roll/why", "persona", persona)
}

// Admit admits a persona.
func (in Inside) Admit(ctx context.Context, persona string) (node.RecordRef, error) {
	return call[node.RecordRef](ctx, in.client, http.MethodPost, "/roll/admission", about(in.ref, "persona", persona), nil)
}

// Suspend suspends a persona, or asks others to endorse that.
func (in Inside) Suspend(ctx context.Context, persona, reason string) (node.RecordRef, error) {
	return post[node.RecordRef](ctx, in.client, "/roll/suspension", about(in.ref, "persona", persona), reasonRequest{Reason: reason})
}

// Expel asks others to endorse that a persona be expelled.
func (in Inside) Expel(ctx context.Context, persona, reason string) (node.RecordRef, error) {
	return post[node.RecordRef](ctx, in.client, "/roll/expulsion", about(in.ref, "persona", persona), reasonRequest{Reason: reason})
}

// Endorse endorses what waits about a persona.
func (in Inside) Endorse(ctx context.Context, persona string) (node.RecordRef, error) {
	return call[node.RecordRef](ctx, in.client, http.MethodPost, "/roll/endorsement", about(in.ref, "persona", persona), nil)
}

// EndorseAct endorses an act that waits.
func (in Inside) EndorseAct(ctx context.Context, act string) (node.RecordRef, error) {
	return call[node.RecordRef](ctx, in.client, http.MethodPost, "/motions/endorsement", about(in.ref, "act", act), nil)
}

// Motions lists the acts that wait for endorsements.
func (in Inside) Motions(ctx context.Context) (node.MotionList, error) {
	return get[node.MotionList](ctx, in, "/motions")
}

// Recall asks others to endorse that some lose an office and others get it.
func (in Inside) Recall(ctx context.Context, office, reason string, out, into []string) (node.RecordRef, error) {
	return post[node.RecordRef](ctx, in.client, "/offices/recall", about(in.ref), recallRequest{Office: office, Reason: reason, Out: out, In: into})
}

// Dispute says which checkpoints are disputed.
func (in Inside) Dispute(ctx context.Context) (node.Dispute, error) {
	return get[node.Dispute](ctx, in, "/dispute")
}

// Follow has the node follow the branch that a checkpoint is on.
func (in Inside) Follow(ctx context.Context, checkpoint string) (node.Dispute, error) {
	return post[node.Dispute](ctx, in.client, "/dispute/follow", about(in.ref), followRequest{Checkpoint: checkpoint})
}

// Part has the node stay on its own branch.
func (in Inside) Part(ctx context.Context) (node.Dispute, error) {
	return call[node.Dispute](ctx, in.client, http.MethodPost, "/dispute/part", about(in.ref), nil)
}

// Resign gives up an office.
func (in Inside) Resign(ctx context.Context, office string) (node.RecordRef, error) {
	return call[node.RecordRef](ctx, in.client, http.MethodDelete, "/offices", about(in.ref, "office", office), nil)
}

// Charter returns the charter as YAML.
func (in Inside) Charter(ctx context.Context) (CharterText, error) {
	return get[CharterText](ctx, in, "/charter")
}

// Offices lists the offices and who holds them.
func (in Inside) Offices(ctx context.Context) (OfficeList, error) {
	return get[OfficeList](ctx, in, "/offices")
}

// Appoint gives personas an office.
func (in Inside) Appoint(ctx context.Context, office string, personas []string) (node.RecordRef, error) {
	return post[node.RecordRef](ctx, in.client, "/offices", about(in.ref), appointRequest{Office: office, Personas: personas})
}

// Propose puts a question to the vote.
func (in Inside) Propose(ctx context.Context, req node.ProposeRequest) (node.ProposalRef, error) {
	return post[node.ProposalRef](ctx, in.client, "/proposals", about(in.ref), req)
}

// Proposals lists every proposal.
func (in Inside) Proposals(ctx context.Context) (node.ProposalList, error) {
	return get[node.ProposalList](ctx, in, "/proposals")
}

// Proposal returns one proposal.
func (in Inside) Proposal(ctx context.Context, ref string) (node.Proposal, error) {
	return get[node.Proposal](ctx, in, "/proposals/one", "proposal", ref)
}

// ProposalWhy explains where a proposal stands.
func (in Inside) ProposalWhy(ctx context.Context, ref string) (node.Why, error) {
	return get[node.Why](ctx, in, "/proposals/why", "proposal", ref)
}

// Tally counts a poll.
func (in Inside) Tally(ctx context.Context, ref string) (node.Tally, error) {
	return get[node.Tally](ctx, in, "/proposals/tally", "proposal", ref)
}

// Sheet is what the ballots of an open vote say.
func (in Inside) Sheet(ctx context.Context, ref string) (node.BallotSheet, error) {
	return get[node.BallotSheet](ctx, in, "/proposals/ballots", "proposal", ref)
}

// Vote casts a ballot. The choice is one line, as its method takes it.
func (in Inside) Vote(ctx context.Context, ref, choice string) (node.VoteReceipt, error) {
	return in.Cast(ctx, ref, node.VoteRequest{Choice: choice})
}

// Cast casts a ballot, for oneself or as an officer for a member.
func (in Inside) Cast(ctx context.Context, ref string, req node.VoteRequest) (node.VoteReceipt, error) {
	return post[node.VoteReceipt](ctx, in.client, "/votes", about(in.ref, "proposal", ref), req)
}

// Revise changes one's proposal while it is discussed.
func (in Inside) Revise(ctx context.Context, ref string, req node.ReviseRequest) (node.RecordRef, error) {
	return post[node.RecordRef](ctx, in.client, "/proposals/revise", about(in.ref, "proposal", ref), req)
}

// Say says something on a proposal besides voting.
func (in Inside) Say(ctx context.Context, ref string, req node.WordRequest) (node.RecordRef, error) {
	return post[node.RecordRef](ctx, in.client, "/proposals/say", about(in.ref, "proposal", ref), req)
}

// Comments returns a proposal's discussion.
func (in Inside) Comments(ctx context.Context, ref string) (node.CommentList, error) {
	return get[node.CommentList](ctx, in, "/proposals/comments", "proposal", ref)
}

// Delegate gives one's vote to another, or takes it back.
func (in Inside) Delegate(ctx context.Context, req node.DelegateRequest) (node.RecordRef, error) {
	return post[node.RecordRef](ctx, in.client, "/delegations", about(in.ref), req)
}

// Delegations lists the votes that members gave to others.
func (in Inside) Delegations(ctx context.Context) (node.DelegationList, error) {
	return get[node.DelegationList](ctx, in, "/delegations")
}

// PrepareVote makes a secret ballot and does not send it.
func (in Inside) PrepareVote(ctx context.Context, ref string, req node.VoteRequest) (node.PreparedBallot, error) {
	return post[node.PreparedBallot](ctx, in.client, "/votes/prepare", about(in.ref, "proposal", ref), req)
}

// ChallengeVote returns the opening of the ballot that is prepared, which can't be
// cast after that.
func (in Inside) ChallengeVote(ctx context.Context, ref string) (node.BallotOpening, error) {
	return call[node.BallotOpening](ctx, in.client, http.MethodPost, "/votes/challenge", about(in.ref, "proposal", ref), nil)
}

// CheckOpening tells what a challenged ballot says.
func (in Inside) CheckOpening(ctx context.Context, o node.BallotOpening) (node.OpenedBallot, error) {
	return post[node.OpenedBallot](ctx, in.client, "/votes/opening", about(in.ref), o)
}

// Trustee says what this persona does as a trustee.
func (in Inside) Trustee(ctx context.Context) (node.TrusteeStatus, error) {
	return get[node.TrusteeStatus](ctx, in, "/trustee")
}

// Receipt returns the receipt of one's own ballot.
func (in Inside) Receipt(ctx context.Context, ref string) (node.VoteReceipt, error) {
	return get[node.VoteReceipt](ctx, in, "/votes/receipt", "proposal", ref)
}

// CheckReceipt looks up the ballot of a receipt.
func (in Inside) CheckReceipt(ctx context.Context, code string) (node.VoteReceipt, error) {
	return get[node.VoteReceipt](ctx, in, "/votes/check", "code", code)
}

// Peers lists the nodes of other members.
func (in Inside) Peers(ctx context.Context) (PeerList, error) {
	return get[PeerList](ctx, in, "/peers")
}

// SyncStatus says how far the node is in step.
func (in Inside) SyncStatus(ctx context.Context) (SyncStatus, error) {
	return get[SyncStatus](ctx, in, "/sync")
}

// Sync pulls from every peer once.
func (in Inside) Sync(ctx context.Context) (node.SyncReport, error) {
	return call[node.SyncReport](ctx, in.client, http.MethodPost, "/sync", about(in.ref), nil)
}

// Nearby looks for members on the local networks for so long; 0 ends it.
func (in Inside) Nearby(ctx context.Context, long time.Duration) (node.Nearby, error) {
	q := about(in.ref)
	q.Set("for", long.String())
	return call[node.Nearby](ctx, in.client, http.MethodPost, "/nearby", q, nil)
}

// Nearness says whether the node looks for members on the local networks.
func (in Inside) Nearness(ctx context.Context) (node.Nearby, error) {
	return get[node.Nearby](ctx, in, "/nearby")
}

// Prune gives up the ballots of votes that closed longer ago than older; 0: than
// the charter has nodes keep them.
func (in Inside) Prune(ctx context.Context, older time.Duration) (node.Pruning, error) {
	q := about(in.ref)
	q.Set("older", older.String())
	return call[node.Pruning](ctx, in.client, http.MethodPost, "/prune", q, nil)
}

// Export writes a bundle to w and returns how many records it holds. After an
// error w holds a part of one.
func (in Inside) Export(ctx context.Context, w io.Writer, req node.BundleRequest) (records int, err error) {
	q := about(in.ref)
	if req.Since > 0 {
		q.Set("since", strconv.FormatUint(req.Since, 10))
	}
	if req.Sealed {
		q.Set("sealed", "true")
	}
	if req.Own {
		q.Set("own", "true")
	}
	resp, err := in.client.send(ctx, http.MethodGet, "/bundle", q, "", nil)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	to := &target{w: w}
	_, err = io.Copy(to, resp.Body)
	switch {
	case to.err != nil: // no fault of the node's
		return 0, fmt.Errorf("httpapi: writing the bundle: %w", to.err)
	case err != nil:
		return 0, in.client.explain(err)
	}
	return readTrailer(resp.Trailer)
}

// target tells an error of writing from one of reading what is written.
type target struct {
	w   io.Writer
	err error
}

func (t *target) Write(p []byte) (n int, err error) {
	n, err = t.w.Write(p)
	t.err = err
	return n, err
}

// Import brings in a bundle of at most [MaxBundle] bytes; a dry run only says
// what it would bring.
func (in Inside) Import(ctx context.Context, r io.Reader, dryRun bool) (node.ImportReport, error) {
	q := about(in.ref)
	if dryRun {
		q.Set("dryRun", "true")
	}
	resp, err := in.client.send(ctx, http.MethodPost, "/bundle", q, bundleType, r)
	if err != nil {
		return node.ImportReport{}, err
	}
	return readAnswer[node.ImportReport](in.client, resp)
}
