// Package group is the prime-order group of secret ballots: ristretto255
// (RFC 9496; SPEC §8.5). It is the only door to its implementation.
//
// # Terms
//
//   - A [Scalar] is a number below the order of the group,
//     2^252 + 27742317777372353535851937790883648493.
//   - A [Point] is an element of the group, written additively. Points are values
//     that never change; the zero Point is the identity.
//
// # Guarantees
//
// Both have one encoding of [Size] bytes each. Decoding takes no other, and what
// decodes to a point is in the group: there is no cofactor to clear and no
// subgroup to check.
//
// [Point.Mul], [Base] and [Combine] take the same time whatever the scalars are.
// The functions whose names begin with VarTime don't, and are for what everybody
// may see.
package group
