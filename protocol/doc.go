// Package protocol defines the unit that metastate nodes sign, store and
// exchange: the record (SPEC §2).
//
// # Terms
//
//   - A metastate is a community. Its id is the id of its genesis record.
//   - A persona is a person's identity in one metastate. Its id is the id of
//     its inception record.
//   - A payload is a canonical DAG-CBOR map: a [Header] and a body. Its SHA-256
//     is the record's [ID]. Signatures stand outside the payload, so that a
//     signer who makes many signatures has still made one record.
//   - The inner form of a record is its payload and signatures. The outer form
//     is what leaves the node: the inner form sealed under a key that only
//     members hold, see [Epoch].
//   - A record is on the control plane (a hash-linked DAG that changes the
//     roll, offices, charter or keys) or on the bulk plane (a set per subject:
//     ballots, signatures, comments).
//
// # Guarantees
//
// A [Record] can be made only by signing ([Sign]) or by parsing ([Parse],
// [ParseBatch]). Holding one proves that it is canonical, inside every cap of
// limits.go and validly signed by every signer it names. It proves nothing
// about the authority of those signers: that is decided by package state, from
// the record and its ancestors.
//
// Nothing here touches the network, the disk or the clock.
package protocol
