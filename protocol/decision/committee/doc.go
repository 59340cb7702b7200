// Package committee follows how the trustees of a metastate make their key, by
// records that all nodes hold (SPEC §8.6). It applies the messages of package
// keygen in stages and agrees on what they lead to: who took part, which deals
// qualify, and the key.
//
// # Terms
//
//   - A [Committee] is the holders of the office of trustee at one time, n = 3f+1
//     of them, numbered from 1 by rising persona.
//   - A [Stage] ends when all trustees have said what it asks for, or, once enough
//     have, when its patience is over: nobody who is away holds the others up for
//     long. Who is away when keys are announced never has a share; who is away
//     later deals none, and finds theirs when they come back.
//   - A [Message] is what one trustee says in one stage.
//
// # Guarantees
//
// A Committee is immutable and follows from the messages alone, in any order within
// a step. Nobody's message counts in another's place, twice, or from another device
// than announced. A complaint convicts a dealer or who complains, and nobody else.
package committee
