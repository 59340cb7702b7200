package httpapi

import (
	"context"
	"io"
	"time"

	"github.com/metastate-p2p/metastate/node"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/charter"
)

// A Node is what the API serves. *node.Node is one, with C = *node.Community.
type Node[C Community] interface {
	host
	// Community returns the one that ref names: an id, a unique beginning of
	// one, or a name; "" is the only one there is.
	Community(ref string) (C, error)
}

// host is the part of a node that is about no single metastate.
type host interface {
	Status() []node.Status
	Doctor(context.Context) (node.Checkup, error)
	Found(context.Context, node.FoundRequest) (node.Membership, error)
	Join(context.Context, node.JoinRequest) (node.Membership, error)
	GiveUp(ctx context.Context, ref string, req node.GiveUpRequest) error
	Fork(ctx context.Context, ref string, req node.FoundRequest) (node.Forked, error)
	LeaveTo(ctx context.Context, ref string, req node.LeaveRequest) (node.RecordRef, error)
	Split(ref, fork string, height uint64) (node.Split, error)
	Rotate(context.Context, node.RotateRequest) (node.Rotation, error)
	RequestRecovery(context.Context, node.RecoveryAsk) (node.RecoveryRequest, error)
}

// A Community is one metastate on a node. Refs are as in the package's terms.
type Community interface {
	// Hold keeps it at hand until release: a request is answered in between.
	Hold() (release func(), err error)
	Status() node.Status
	Charter() charter.Charter
	Leave(context.Context) (node.RecordRef, error)

	membership
	recovery
	decisions
	exchange
}

// membership is who belongs, and who may act for all.
type membership interface {
	CreateInvite(context.Context, node.InviteRequest) (node.InviteLink, error)
	Invites() []node.InviteEntry
	RevokeInvite(context.Context, protocol.ID) (node.RecordRef, error)

	Roll(asOf *uint64, provisional bool) (node.RollList, error)
	RollWhy(persona protocol.ID) (node.Why, error)
	Member(ref string) (protocol.ID, error)
	Why(ref string) (node.Why, error)
	ProveStanding(persona protocol.ID) ([]byte, error)
	Claim(ctx context.Context, proof []byte) (node.RecordRef, error)
	Pacts(context.Context) (node.PactList, error)
	Admit(ctx context.Context, persona protocol.ID) (node.RecordRef, error)
	authority
}

// authority is what members do about each other and the offices.
type authority interface {
	Suspend(ctx context.Context, persona protocol.ID, reason string) (node.RecordRef, error)
	Expel(ctx context.Context, persona protocol.ID, reason string) (node.RecordRef, error)
	Endorse(ctx context.Context, persona protocol.ID) (node.RecordRef, error)
	EndorseAct(ctx context.Context, act protocol.ID) (node.RecordRef, error)
	Motions() (node.MotionList, error)
	Motion(ref string) (protocol.ID, error)
	Appoint(ctx context.Context, office string, personas []protocol.ID) (node.RecordRef, error)
	Recall(ctx context.Context, req node.RecallRequest) (node.RecordRef, error)
	Resign(ctx context.Context, office string) (node.RecordRef, error)

	Dispute() (node.Dispute, error)
	Follow(ctx context.Context, checkpoint string) (node.Dispute, error)
	Part(context.Context) (node.Dispute, error)
}

// decisions is what is put to the vote.
type decisions interface {
	Propose(context.Context, node.ProposeRequest) (node.ProposalRef, error)
	Proposals() node.ProposalList
	Proposal(ref string) (node.Proposal, error)
	ProposalWhy(ref string) (node.Why, error)
	Revise(ctx context.Context, ref string, req node.ReviseRequest) (node.RecordRef, error)
	Say(ctx context.Context, ref string, req node.WordRequest) (node.RecordRef, error)
	Comments(ref string) (node.CommentList, error)
	Delegate(ctx context.Context, req node.DelegateRequest) (node.RecordRef, error)
	Delegations() (node.DelegationList, error)
	Cast(ctx context.Context, ref string, req node.VoteRequest) (node.VoteReceipt, error)
	PrepareVote(ctx context.Context, ref string, req node.VoteRequest) (node.PreparedBallot, error)
	ChallengeVote(ctx context.Context, ref string) (node.BallotOpening, error)
	CheckOpening(context.Context, node.BallotOpening) (node.OpenedBallot, error)
	TrusteeStatus() (node.TrusteeStatus, error)
	Receipt(ref string) (node.VoteReceipt, error)
	CheckReceipt(code string) (node.VoteReceipt, error)
	Tally(ref string) (node.Tally, error)
	Sheet(ref string) (node.BallotSheet, error)
}

// exchange is how records get from node to node.
type exchange interface {
	Peers() []node.Peer
	Sync(context.Context) (node.SyncReport, error)
	Nearby(ctx context.Context, long time.Duration) (node.Nearby, error)
	Nearness() (node.Nearby, error)
	Prune(ctx context.Context, older time.Duration) (node.Pruning, error)
	Export(context.Context, io.Writer, node.BundleRequest) (records int, err error)
	Import(ctx context.Context, r io.Reader, dryRun bool) (node.ImportReport, error)
}
