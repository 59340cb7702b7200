// Package checkpoint makes records final (SPEC §7): the numbered values that
// say which records are covered and what state results, the certificates that
// prove a quorum of clerks stands behind a value, and the agreement by which
// clerks come to one.
//
// # Terms
//
// A clerk is a member elected to sign checkpoints. Of n clerks f = ⌊(n−1)/3⌋
// may be dishonest, and q = ⌊(n+f)/2⌋+1 are a quorum ([certificate.Quorum]). A
// height is the number of a checkpoint, from 1. A [certificate.Value] is what is
// agreed on at a height; its id is the hash of its encoding. A
// [certificate.Certificate] is a value with a quorum's signatures. A chunk lists
// ids that a value newly covers.
//
// A round is one attempt at a height: its proposer sends a proposal, clerks
// prevote for it or for nil, and then precommit. A clerk that sees a quorum of
// prevotes for a value locks on it: it precommits, and in later rounds prevotes
// for another value only when shown a later quorum of prevotes for that one. A
// quorum of precommits in one round decides. [Machine] is this agreement, the
// Algorithm 1 of arXiv:1807.04938, as a pure state machine.
//
// # Guarantees
//
//   - Agreement: with at most f dishonest clerks, no two honest ones decide
//     differently at a height, whatever is lost, late, repeated or reordered,
//     and whoever crashes and resumes from what was persisted.
//   - Validity: what is decided was judged valid by an honest clerk.
//   - Termination: once links between q honest clerks work within the timeouts,
//     which grow from round to round, and retransmit, they decide.
//   - Accountability: a clerk that signs two different messages of one kind in
//     one round leaves [Evidence]; an honest clerk never does.
//
// With n ≤ 3 no dishonest clerk is tolerated; with 3, one may be away.
//
// A value is judged in two ways. Timeless validity (it extends the cover, its
// state root is right) holds or not for ever. Freshness (its clock, what it
// omits) is asked only of a proposal that is new, never once a quorum has
// prevoted for it: else clerks locked on a value who return two days later
// could decide neither it nor anything else.
//
// # The driver's duties
//
// Around a machine there is a driver that owns it, one goroutine, doing all I/O:
//
//  1. Before the first [Start] of a height: [New] if nothing was ever persisted
//     for the height, else [Resume]. If Resume fails, do not vote.
//  2. Carry out outputs in order. [Persist] is on stable storage (fsync of file
//     and directory, or a synced database commit) before the next output is
//     looked at. A record may be deleted once the height's certificate is stored.
//  3. Turn bytes from the network into messages by [ParseMessage] only, and feed
//     them as [Received]. Act on the [Verdict]: on HeightBehind send the author
//     that height's certificate, on HeightAhead fetch certificates.
//  4. Every few seconds until the height is decided, send [Machine.Messages]
//     again. Gossip loses messages, and agreement must not depend on it.
//  5. Answer [NeedValue] and [Judge] when able; feed other inputs meanwhile.
//     Records that a value lists are fetched before it is judged.
//  6. Start real timers for [Schedule]. Timers of rounds gone by may fire; the
//     machine ignores them.
//  7. Store the certificate of [Decided] before anything that follows from it,
//     then publish it and answer whoever is still at that height with it. A
//     certificate from another ends the height just as well: verify it, apply
//     it, drop the machine.
//  8. On [Refused], or two certificates at one height, stop, keep both, and say
//     so loudly ([Conflict] names the clerks who signed both in one round).
//  9. Publish [Accuse] as a record.
package checkpoint
