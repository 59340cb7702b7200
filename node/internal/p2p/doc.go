// Package p2p carries records between the nodes of a metastate, and is the only
// package that knows libp2p (SPEC §9).
//
// # Terms
//
// A [Presence] is one libp2p host with a random transport key of its own, its own
// ports, peers and limits. Two presences share nothing, so that nobody can tell by
// their keys that they belong to one person. A presence is for one metastate
// ([NewMember]), or shared by several ([Presence.Join]), which links them for
// their members.
//
// A [Member] is one metastate on a presence: gossip, sync, push and dialling. A
// presence accepts connections only from transport peers that the [Replica] of one
// of its members knows, because whoever is connected learns which topics a host
// has; and a member gives and takes nothing but from peers that its own knows.
//
// A [Lobby] is the presence that strangers may reach: one request, one
// response, and nothing that names members or topics. [Knock] is its client.
//
// A frame is a record, agreement message, certificate or device binding in its
// outer form (sealed, under a transit MAC). This package never looks inside.
//
// # Guarantees
//
// Gossip is a hint; the log and pull sync are the truth. A message may be lost
// (every loss on this side is counted in [Metrics]), and nothing depends on its
// arrival: when a sync session ends without error, both sides hold the same
// sets, certificates and bindings, unless something new arrived meanwhile.
//
// Every peer is assumed to lie. Lengths are capped before memory is taken, every
// frame has a deadline, every session and table a bound, and the first thing in
// a session that an honest peer could not have sent ends it with an error that
// wraps [ErrPeer]. A session begins with a mutual proof of knowledge of the
// epoch secret; a device's binding is shown only to a peer that has proven it.
//
// A peer is penalised ([Reject]) only for what is wrong for every node at every
// time. Anything a partition or a rotation could explain is [Ignore].
//
// [Member.Close] and [Lobby.Close] return when every goroutine and every call
// into the Replica has ended.
package p2p
