// Package httpapi is the local door of a running node: JSON over HTTP on a unix
// socket, and the client that the command line uses.
//
// # Terms
//
//   - The data folder is where a node keeps everything. Its socket follows from
//     it ([SocketPath]), so that a client needs to know no more.
//   - A ref names something as people do: an id, a unique beginning of one, or a
//     unique name. Refs travel as query parameters (metastate, persona,
//     proposal, invite, code); without metastate, the only one is meant.
//   - A problem is the answer to a request that failed: application/problem+json
//     (RFC 9457) with the code, exit code, message and hint of a [node.Error],
//     which the client gives back as one.
//
// # Guarantees
//
//   - The socket has mode 0600 in a folder of mode 0700 that belongs to the user.
//     Whoever can connect counts as unlocked. A client sends nothing, passphrases
//     above all, through a folder that another user could have made.
//   - One listener per data folder: a live one is refused in words, and what a
//     crash left is taken over.
//   - Every request has a time limit, and every body a size limit: [MaxBody], or
//     [MaxBundle] for bundles, which are streamed and never held whole.
//   - Bodies are strict: one JSON value of the documented fields.
//   - Bodies, passphrases among them, are never logged; handlers wipe theirs.
package httpapi
