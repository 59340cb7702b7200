// Package identity says who signs: keys, the one rule by which signatures are
// accepted, and how a person's keys follow from 24 written words.
//
// # Terms
//
// A vault holds 32 bytes of [Entropy] per person, written down once as 24 words
// ([Words]). From it, for each metastate and index, follows a [Persona]: the
// secrets of one identity in one community. A persona's signing keys are used
// for its inception, grants, rotation and recovery only. What a member does day
// by day is signed by a device key: random, never derived, delegated by a
// [Grant] that expires. Two personas of one person share no bytes, so nobody
// can link them without the words.
//
// # Guarantees
//
//   - Derivation is byte exact (HKDF-SHA256 with fixed labels) and pinned by
//     vectors: the same words give the same keys in every version.
//   - A signature is accepted by one rule, alone or in a batch, cached or not:
//     ZIP-215 (cofactored, s canonical) with A canonical and not of small order.
//     See [Verify].
//   - Secrets ([Entropy], [Persona], [SigningKey]) print as a placeholder under
//     every verb and in slog, and refuse to be marshalled as text.
//   - Parsers accept one encoding of each value, check caps first, and never
//     panic.
//
// The words plus a metastate's id prove membership to whoever holds both. A
// person at risk founds a persona on an Entropy of its own.
package identity
