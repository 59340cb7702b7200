// Package charter holds a metastate's constitution: who may join, which
// offices there are, how each class of decision is taken, and the statutes
// that members agree to (SPEC §5.3).
//
// # Terms
//
//   - A [Charter] is the whole of it: words (the statutes) and parameters. It
//     stands in the genesis record as canonical DAG-CBOR, and changes only by
//     a decision that names the version it amends.
//   - A [Class] is a kind of decision and the rule by which it passes. Every
//     charter has the classes ordinary, charter, election and expulsion.
//   - A threshold is a [Fraction] that the yes votes must reach; a quorum is
//     one that the turnout must reach. Both are compared exactly, in integers:
//     67 % of 6 needs 5, and 66 % needs 4.
//   - A template is one of the built-in charters, made to be edited.
//
// # Forms
//
// People read and write YAML: [ParseYAML] reads it and [YAML] writes it, with
// a comment above each choice that says what follows from it. Records hold
// the DAG-CBOR of the struct, in which durations are whole seconds. A charter
// read from either form and written in the same form again is unchanged.
//
// # Guarantees
//
// A charter that [Charter.Validate] accepts can be lived with: no threshold is
// out of reach of the whole group, none is reached by nobody, no few can expel
// the many or rewrite the charter, one officer alone can only suspend, and for
// 72 hours at most. Nodes validate what they decode, as peers may send
// anything. ParseYAML returns valid charters only, names the line of each
// problem, and never panics.
//
// The package is pure: it touches no file, network or clock.
package charter
