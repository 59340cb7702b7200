// Package sketch finds out which keys two sets do not have in common from a
// short row of symbols of each, about 1.4 for every difference however large
// the sets are.
//
// It is the rateless invertible Bloom lookup table of Yang, Gilad and Alizadeh
// (Practical Rateless Set Reconciliation, SIGCOMM 2024) as SPEC §9.3 has it. A
// symbol is the exclusive or of all keys that are mapped to its place, and of a
// check of each. Combining the symbols of two sets place by place leaves those of
// their difference. Where one key of it stands alone, the check tells, and taking
// it out elsewhere leaves others alone.
//
// # Terms
//
//   - A key is the first 16 bytes of an id.
//   - A sketch is the first symbols of a set, a [Symbol] slice. It is the same
//     for every peer, and the symbols before some place do not depend on how many
//     there are.
//   - A sample is one byte of a symbol. Samples from all over a sketch tell how
//     large a difference is about before any of it is sent.
//
// Symbols carry no count and no direction: whoever decodes looks up which of
// the keys it holds.
//
// # Guarantees
//
// Adding and taking out keys in any order makes one sketch of one set. What a
// [Decoder] finds in sketches of two sets, once it is [Decoder.Decoded], is
// their difference but for two cases. A symbol of several keys passes for one
// of a single key with probability 2^-64. And who makes ids can try until some
// of them pass, or are mapped alike so that they hide each other: 2^32 tries
// find two ids with one check. The check is no secret, since the symbols are
// to be the same for all. So the result is checked by the sets' digests, and
// when it is wrong, the peers compare ranges: grinding costs them some bytes.
//
// Whatever symbols a decoder is given, it does at most 64 steps for each and
// finds no key twice.
package sketch
