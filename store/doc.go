// Package store keeps one metastate's records, certificates and private notes
// on disk, so that nothing acknowledged is ever lost in silence.
//
// A [Store] is one directory with one 32-byte key. Records are kept as the
// bytes received (the inner form: payload and signatures), in order of arrival
// (the log), and found by their id and by set (the control plane or one subject,
// SPEC §6.2). Those that come together are stored together, in packs. Arrival
// order is the caller's promise that parents precede children; the store only
// preserves it.
//
// # What is promised
//
//   - Durable: when Append, Commit or a Put returns nil, its content survives
//     kill -9 and power loss.
//   - Atomic: a [Batch] of any size is stored whole or not at all.
//   - Never a silent loss: Badger, below, encrypts without authenticating and
//     may open a file with one flipped byte as an empty table. So every record
//     read is hashed against its id and has a MAC; so has the log; and a small
//     inventory file, MACed under the store's key, states how many records there
//     are and the rolling hash of their ids. A record that is listed but cannot
//     be read is a [DamagedError], never [ErrNotFound].
//   - A full disk is refused early, with [ErrFull], while there is still room
//     for what Badger does in the background: its files are memory-mapped, and
//     a write into one that finds no space kills the process. Reads go on, and
//     writes resume when space returns.
//
// # Damage
//
// Badger is a rebuildable cache. [Open] compares the log with the inventory and
// returns a DamagedError rather than serve less than was promised. [Rebuild]
// then salvages every row that still verifies into fresh files, moves the old
// ones aside into a quarantine folder, and reports what is missing so that it
// can be fetched from peers. Rebuild reads the files itself, bounds-checked:
// Badger may panic in its own goroutines on the same bytes. After an exit that
// was not a clean Close, Open checks the files in the same way before Badger
// sees them. [Store.Verify] reads everything and names each damaged id.
//
// What can't be noticed: the whole directory deleted or put back to an older
// state. Certificates and peers reveal that, not the disk.
//
// # Layout
//
//	inventory         what must be here: two MACed slots
//	keys.copy         second copy of Badger's key registry (itself encrypted)
//	ballast           space held so that Close always succeeds
//	db-<generation>/  Badger
//	suspect/          files Badger would have deleted or cut, until proved useless
//	quarantine-…/     what a Rebuild moved aside
//
// The directory is 0700. Badger creates files with the process's umask; the
// store sets them to 0600 when it opens, seals its inventory and closes.
package store
