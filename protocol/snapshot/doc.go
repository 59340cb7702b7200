// Package snapshot takes and restores snapshots of a checkpoint, so that a
// joiner needs the genesis, the checkpoint its invite names, the changes of
// clerks, and a snapshot, but no history (SPEC §7.6). It is pure: what is sent,
// stored and asked of whom is the caller's.
//
// # Terms
//
//   - A tree is one authenticated map of the state (members, devices, invites,
//     motions, first votes, polls, what is known of other metastates, claims, pacts,
//     the ballots of one poll) or one covered set
//     (the control plane, the records of one open poll).
//   - A chunk is all leaves of a subtree. Its name is the subtree's digest, so
//     it is checked alone, and nodes at one checkpoint have the same chunks.
//   - The manifest has the certificate, the sections whose SHA-256 is the state
//     root, the charter in force, the offices, and how each tree is cut: the
//     names of its chunks and the critical bits between them, which join to the
//     tree's root.
//   - Leaves leave out what records say: the bodies of motions, and the charter
//     that an amendment not yet decided proposes. Those records are parts, too,
//     by their ids; which, the leaves tell.
//   - A Chain is the changes of clerks since a checkpoint that is known.
//
// # From peer to tip
//
//	known value ─ NewChain ─ Add… ──┐
//	manifest ────────────────────── Open ─ Missing ⇄ Add ─ Finish ─ tip
//
// [Open] verifies the certificate under the clerks in force and everything that
// the value and its state root name. [Restorer.Add] takes chunks and records in
// any order from anybody and refuses by name what is not what its name says. The
// names missing are asked for in the order of [Restorer.Missing]: the polls come
// first, since they show whether the rest of the manifest is right. To go on
// after a crash, open the manifest again and add what was stored.
//
// # Guarantees
//
// The tip that [Restorer.Finish] returns has the state root that a quorum
// signed, and makes of further records the same values, verdicts and roots as
// the tip that the snapshot was taken of. Two things it does not have: words of
// the counts of closed polls, and records.
//
// # What is trusted
//
// A certificate names only the value before it. Whoever has the keys of a quorum
// of clerks of any height can make up all that comes after it, and old keys
// leak. So a chain begins at a checkpoint that is known, from an invite; from
// there on the clerks are those that it names. Trusted are: that checkpoint, and
// that no quorum of clerks since has lied or lost its keys. A chain does not
// lead through a recall: who signs then follows from records.
package snapshot
