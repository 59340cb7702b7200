// Package bundle reads and writes records as one file, for a memory stick, a
// mail, a backup: sneakernet (SPEC §9.2).
//
// # Layout
//
// A bundle is a CARv1 file (https://ipld.io/specs/transport/car/carv1/), so any
// IPFS tool lists and reads it. All blocks are DAG-CBOR named by CIDv1 with
// SHA-256:
//
//	header       {roots: [manifest's CID], version: 1}
//	manifest     what the file holds: see [Manifest]
//	certificate* [height, bytes]: checkpoint certificates, opaque here
//	record*      payload block, its CID is the record's id; then
//	             signature block [link to the payload, signatures]
//
// Records stand in the order they were written in, which should be parents
// before children: then import needs no waiting room.
//
// A bundle may be sealed: cut into chunks that are each encrypted in a block of its
// own, in a CARv1 file whose root says how. [Sealer] writes one, [Opener] reads it.
//
// # Guarantees
//
// A bundle comes from anywhere and its medium rots. [Reader] checks every block
// against its CID, pairs payloads with signatures, and holds the whole against
// the manifest's count and digest. So any changed byte and any truncation gives
// a [Problem], which names the record it befell, or where no id can be known
// the offset. Reading goes on after a problem: where the framing itself is hit,
// the reader looks for the next block that is sound, so that a lost byte costs
// one record and not the rest.
//
// That a block matches its CID says nothing about who made it. Signatures are
// left to protocol.ParseBatch; [Verify] does both, with no vault and no node.
// The manifest is unsigned: its count and digest find damage, not malice.
//
// Of a sealed bundle anyone sees whether it is whole; who has the secret sees, too,
// that nobody without it changed anything.
//
// Memory is bounded by [MaxCertificate] whatever the file claims, and time is
// linear in its length. Nothing here opens files: it takes an io.Reader and an
// io.Writer.
package bundle
