// Package gossipbench measures gossip among hosts of one process that meet over
// TCP on loopback: [p2p.Member]s, and beside them what go-libp2p-pubsub does by
// its defaults, under the same load.
//
// A record is offered at a given moment by one of the hosts in turn, and has
// reached all when every other host has checked its frame's MAC, opened it and
// handed it over. The time counts from the moment at which it was due, so that a
// host that falls behind its load pays for it. Signatures are not verified here
// (the ledger does that, in batches): pubsub's defaults sign and verify every
// message, and their share of the time is theirs.
//
// It is for measurements only; no node imports it.
package gossipbench
