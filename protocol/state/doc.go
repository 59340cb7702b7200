// Package state is the whole of the rules in one place: what a metastate's
// records, covered by its checkpoints, amount to.
//
// # Terms
//
//   - A [State] is everything decided as of a checkpoint: the roll, the offices
//     and clerks, the charter, the polls.
//   - [State.Advance] is the one function that makes a state from another. It
//     serves twice: over the records that a checkpoint newly covers it gives
//     the next final state, over all that is not covered yet it gives the
//     provisional view.
//   - [State.Receive] decides what a node stores and relays.
//   - [State.Root] is the digest that clerks sign and every member recomputes;
//     [State.ProveMember] shows one entry to someone who holds only the root.
//
// # Guarantees
//
// A State never changes. Advance is pure (no clock, no I/O) and total (a record
// without power is a no-op with a reason), and does not depend on the order or
// duplication of its records. Power comes only from the final state, so a
// grant that is not final confers none, and nothing after a checkpoint changes
// anything inside it.
package state
