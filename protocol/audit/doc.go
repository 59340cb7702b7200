// Package audit checks one vote again, from the history of its metastate alone:
// it trusts no node, no vault and nothing that anybody computed before
// (SPEC §8.7).
//
// # Terms
//
//   - The history is a bundle (package bundle) from the genesis on: all checkpoints,
//     and the records that they cover.
//   - A [Step] is one of the things that must hold, by name: history, roll, keys,
//     ballots, seal, aggregate, shares, result. Of an open vote there are no keys,
//     aggregate and shares.
//   - A [Report] has all steps of a vote. Each holds or names what is at fault.
//
// # Guarantees
//
// [Run] recomputes each checkpoint from the records that it covers, and requires a
// quorum of the clerks in force for it. Besides, it follows the one vote on a way of
// its own: who could vote is looked up in the roll of the opening checkpoint, the
// trustees' key is put together from their messages, the ballots that count are
// picked and summed up from nothing, shares are checked against that sum, and the
// votes counted from that; at each step this must be what the records lead to, and
// what the clerks signed.
//
// Any changed byte of the history fails with the id of the record or checkpoint
// that it befell, or where no id can be known the offset.
//
// A history may come from anywhere: what it proves is bound to the id of its
// metastate, which whoever audits must know from elsewhere. That nothing was left
// out after its last checkpoint no history shows.
//
// Memory is bounded by a small multiple of the history's size. Run starts no
// goroutines: [Config] says how work that can be done side by side is done.
package audit
