// Package vault keeps a person's secrets in one encrypted file.
//
// # The file
//
//	"MSKS" ‖ version (1 byte) ‖ u32be header length ‖ header ‖ body ‖ SHA-256
//
// The header is DAG-CBOR. It names the body's nonce and one or more key slots;
// each slot wraps the same random data key under Argon2id (RFC 9106) of one
// passphrase, with its own parameters and salt. The body is [Contents], padded
// to 4 KiB steps and sealed under the data key by XChaCha20-Poly1305, with all
// that precedes it as additional data. The SHA-256 of everything before it ends
// the file. It has no key and proves nothing: it tells damage apart from a
// wrong passphrase.
//
// # Guarantees
//
//   - A crash at any point of a write leaves the old file or the new one.
//   - Of two processes that write at once one gets [ErrLocked]; no update is
//     lost. The lock goes with the process, so none is ever stale.
//   - Nothing in the file is believed before it is bounded: Argon2's parameters
//     above all, which could otherwise ask for any amount of memory.
//   - A vault that others can read is refused ([ErrPermissions]).
//   - Secrets print as a placeholder and are in no error.
//
// What it cannot do: keep a copy of an old file from being opened with the
// passphrase of its day, or make an SSD forget what was written.
package vault
