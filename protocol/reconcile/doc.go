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
// # Sketches
//
// Ranges cost some hundreds of bytes for each difference that stands alone in
// a large set. So of a set that differs in little the initiator asks for the
// beginning of its sketch (package sketch), 24 bytes a symbol and some 1.4
// symbols a difference. The counts say how many differences there are at least,
// and samples, one byte each, how many there are about: two or three questions
// mostly do, one for a dozen differences. [Sketches] keeps those of a node.
// Where a sketch fails, or what it gives can't be so, ranges are asked for.
// An id that the initiator lacks is then known by its first 16 bytes, and is
// fetched by these ([Wanted]).
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
// set, or a part of it where that is over the [Limits], unless members ground ids that sketches mistake: so after two passes that
// left digests unequal, ranges alone are to be asked for (Limits.Symbols).
// Lists, digests and ids that contradict what the peer said before, or this
// package's form, end the session with [ErrProtocol]. A peer that lies
// without contradicting itself can invent or hide ids, as a node that had or
// lacked them would: after the records were fetched, equal digests are the
// proof. Whatever a peer does, a session costs no more than its [Limits], and
// no message is over [MaxReply] bytes.
package reconcile
