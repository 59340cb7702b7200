// Package certificate is the wire form of what clerks make final: the [Value] of
// a checkpoint, the chunks that list what it covers, and the [Certificate] by
// which a quorum of clerks stands behind it (SPEC §7.1, §7.2).
//
// It knows no state. Whether a value follows from the one before it is for
// package checkpoint; whether a certificate holds under given clerks is said
// here, also of another metastate's.
package certificate
