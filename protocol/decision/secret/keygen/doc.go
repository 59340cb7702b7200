// Package keygen makes the key of a committee of trustees from messages that all
// can read, with no dealer to trust (SPEC §8.5; Pedersen 1991 with Feldman's
// commitments, which are committed to before they are shown).
//
// # Terms
//
//   - A [Committee] has n = 3f+1 trustees. Any k = f+1 of them can decrypt, f
//     can't, and f may be gone or lie.
//   - Each announces a key of its own with a proof of its secret; together these
//     are the [Roster].
//   - A [Deal] is a secret polynomial of degree f: its coefficients times the
//     generator for all to see, and its value at j sealed to trustee j. Each
//     trustee deals one, after all have fixed theirs by a [Commitment].
//   - A [Complaint] opens a sealed share, so that everybody can judge the deal.
//   - [Keys] are the sum of the deals that the caller's agreement qualified: the
//     public key of the committee and those of all its trustees. A [Share] is a
//     trustee's part of the secret.
//
// # Guarantees
//
// What a message means depends on nothing but its bytes and the messages before
// it: everybody finds the same keys and the same [Verdict]. A trustee may be
// offline through all of it after its announcement and still have its share
// later. The committee's secret is nowhere: k trustees together could compute it,
// and f know nothing of it, though they all dealt. A dealer who is the last to show
// a deal can still have it refused, and so choose between two keys, neither of which
// it knows more of.
//
// The secrets of a trustee come from one seed, so that a restart in the middle
// deals the same. They are never printed and can be erased.
package keygen
