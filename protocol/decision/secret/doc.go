// Package secret is the cryptography of secret ballots that anybody can audit
// (SPEC §8.5): ballots are encrypted, prove that they are well formed, are summed
// up without being opened, and any k of a committee of trustees open the sum.
//
// # Terms
//
//   - An [Election] is one vote with all that its proofs are bound to, its
//     [Terms]. Its [Shape] is what a ballot may say.
//   - Marks are what a voter says of each option, as in package count.
//   - An [Opening] is what a ballot was made from. Who has it sees, and can show,
//     what the ballot says.
//   - An [Aggregate] is the sum of ballots.
//   - A share is what one trustee makes of an aggregate, once the set of ballots
//     is sealed; K of them give the [Result].
//
// # Guarantees
//
// A ballot is of one voter, seq and election: another's copy, or one that is sent
// again elsewhere, does not hold. What holds says what the shape allows, and so a
// sum of such ballots is the sum of what voters may say. A share that does not
// hold names its trustee.
//
// A ballot stays secret unless k trustees open it, or its opening is shown. That
// somebody voted is public. A sum of few ballots, or of equal ones, tells what
// each says: [Terms] has the least number that a trustee opens.
//
// All functions are pure: chance comes as seeds of 32 bytes, and equal inputs
// give equal bytes. Bytes from others are taken in one form only, of one length,
// and never cause a panic.
package secret
