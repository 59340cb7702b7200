// Package merkle is a persistent authenticated map from 32-byte keys to
// values: a binary crit-bit trie whose root digest depends on the entries
// alone, never on how they got there.
//
// A metastate's state root (SPEC §6.3), the digest of each replicated set (SPEC
// §6.2) and the subtrees that two nodes compare to find their differences are
// all this one structure.
//
// # Terms
//
//   - The critical bit of two keys is the first bit in which they differ,
//     counted from 0 at the most significant bit of the first byte.
//   - A leaf holds one key and its value. An inner node holds the critical bit
//     of all the keys under it: keys with a 0 there are on its left, with a 1
//     on its right. There are no inner nodes with one child, so n keys make
//     exactly n−1 inner nodes and one shape.
//   - A prefix is the first n bits of a key, 0 ≤ n ≤ 256.
//
// # Guarantees
//
// A [Map] is a value. [Map.Put] and [Map.Delete] return a new version that
// shares all but O(depth) nodes with the old one; every version stays as it
// was, and any number of goroutines may read versions, take roots and derive
// new versions at once. The zero Map is empty and ready. Depth is O(log n)
// for keys that are hashes and at most 256 for keys an adversary chose.
//
// In memory a node is two levels of the trie, as what a large map costs is
// mostly to fetch nodes. Digests are computed when first asked for and kept, one
// a node, so a thousand Puts followed by one [Map.Root] hash each surviving node
// once.
// Values must not change after Put, as the digests would not follow.
//
// # Digests, normative
//
// The following numbered text is the definition that other implementations
// follow. SHA-256 is FIPS 180-4; ‖ joins byte strings.
//
//  1. A key is 32 bytes. Bit i of a key (0 ≤ i ≤ 255) is bit 7−(i mod 8) of
//     byte ⌊i/8⌋, bit 7 being the most significant.
//  2. A value is a byte string, the one canonical encoding of what it means.
//     A set is a map in which every value is the empty string.
//  3. The digest of no entries is 32 zero bytes.
//  4. The digest of the single entry (key, value) is
//     SHA-256(0x00 ‖ key ‖ SHA-256(value)).
//  5. The digest of two or more entries is
//     SHA-256(0x01 ‖ uint16be(i) ‖ L ‖ R), where i is the first bit in which
//     not all their keys agree, L the digest of the entries whose bit i is 0
//     and R that of the entries whose bit i is 1. Neither side is empty.
//  6. The root of a map is the digest of all its entries. The digest of a
//     prefix is the digest of the entries whose keys begin with it.
//  7. The path of a key k in a map of one or more entries starts at all
//     entries and, as long as there is more than one, goes to the side that
//     bit i of k names. It ends at one entry, which is k's if the map has k.
//  8. A proof about k is the DAG-CBOR array [indices, siblings, other] of
//     three byte strings. indices holds one byte i for each step of k's path,
//     from the root down, strictly increasing; siblings holds, in that order,
//     the 32-byte digests of the sides not taken. other is empty if the map
//     has k or is empty; else it is key ‖ SHA-256(value) of the entry at the
//     path's end.
//  9. A proof shows that k has the given value if other is empty and folding
//     the digest of (k, value) upwards with the siblings by rule 5 gives the
//     root. Each digest goes on the side that bit i of k names, its sibling
//     on the opposite side.
//  10. A proof shows that k is absent if other names a key different from k
//     and folding that entry's digest, with the sides still named by the bits
//     of k, gives the root; or if all three strings are empty and so is the
//     map.
//
// Proofs speak about roots made by these rules. A root is trusted because
// every node recomputes it (SPEC §7.3), not because a proof fits it.
package merkle
