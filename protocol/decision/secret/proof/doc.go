// Package proof is what secret ballots convince with (SPEC §8.5): the hash that
// all challenges come from, and three statements that are proven without saying
// why they are true.
//
// # Terms
//
//   - A [Ciphertext] is an exponential ElGamal encryption of a small number m
//     under a key Y: the pair (r·G, r·Y + m·G).
//   - [Knowledge] is of the secret x of a key x·G.
//   - [Equality] is of two discrete logarithms: that X = x·G and Q = x·P have the
//     same x (Chaum and Pedersen 1992).
//   - [Membership] is that ciphertexts together encrypt one of several lists of
//     numbers, without telling which (Cramer, Damgård and Schoenmakers 1994). Of
//     lists of one number it is a range; with one list it opens a sum.
//
// # Guarantees
//
// A proof is bound to everything that its statement has: to each point, to the
// commitments, and to the fields that the caller adds, none of which can be
// moved to another's place. Whoever does not know what a proof says is known
// passes with a chance of some 2^-250 for each attempt at hashing.
//
// Provers work in constant time. Their nonces come from a seed of 32 bytes and
// from all of the statement and its secret, so that none is ever used for two
// challenges, not even when a seed is.
package proof
