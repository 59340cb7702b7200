// Package reconcile finds out which ids two nodes do not have in common, over
// thousands of sets at once, without sending the sets.
//
// A node keeps a set of record ids for its control plane and for each subject
// (SPEC §6.2), and an [Index] of their digests. Two nodes that meet compare the
// indexes, then the sets whose digests differ: the [Initiator] asks, the
// [Responder] answers, both as pure functions of the bytes they are given.
// Who carries the bytes, and who fetches the records afterwards, is not known
// here.
//
// # How it works
//
// A range is all ids with a common prefix, counted in hexadecimal digits. The
// initiator asks for a range's split: digest and count of each of its 16
// parts. Parts that agree with its own are done with; those of more than
// [ListMax] ids are split again; of the rest it asks for the ids. The index is
// searched in the same way, as a map from the sets' names to their digests, so
// two equal nodes exchange one short message each however many sets they have.
// A round trip carries as many questions as fit, so that a search takes about
// log16(N) + 2 of them until the answers outgrow a message.
//
// # Short digests
//
// Digests and ids travel as fingerprints: the first 8 bytes of
// SHA-256(salt ‖ digest), under a fresh random salt that the initiator chose
// for this session. Ids are made by members, who could grind two that share 8
// bytes; they can not do so under a salt that does not exist yet. Two things
// that differ pass for equal with probability 2^-64 in one session, and not in
// the next. Ids the initiator lacks are then sent whole.
//
// # Guarantees
//
// Between honest nodes [Initiator.Diffs] is the symmetric difference, set by
// set. Lists, digests and ids that contradict what the peer said before, or
// this package's form, end the session with [ErrProtocol]. A peer that lies
// without contradicting itself can invent or hide ids, as a node that had or
// lacked them would: after the records were fetched, equal digests are the
// proof. Whatever a peer does, a session costs no more than its [Limits], and
// no message is over [MaxMessage] bytes.
package reconcile
