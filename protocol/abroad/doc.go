// Package abroad is what a metastate knows of others: the metastate that it was
// founded from, who came over from there (SPEC §5.10), and with whom it has pacts
// (SPEC §5.11).
//
// # Terms
//
//   - An [Anchor] names a checkpoint of another metastate, and the clerks who
//     sign the next. It is all that certificates of later ones are judged by.
//   - A fork is a metastate whose genesis has an anchor of its parent.
//   - A claim is the proof, made in the fork, that somebody left the parent for
//     it. Who moved has left, so nobody stays and claims too.
//   - The split is who moved, and who of them has a share. The parent reads it
//     off its roll ([Moved]), the fork off its claims ([State.Split]); once all
//     have claimed these are equal.
//   - A [Pact] is terms that two metastates decided, each by its own vote. It is in
//     force once each is shown that the other has it.
//
// # Guarantees
//
// Whatever is brought is judged by what the final state knows, so no order of
// records decides anything. An anchor moves on only along certificates that hold under
// the clerks that it names, one change of clerks at a time. Whoever has the keys
// of a quorum of clerks that it names can make up what the other metastate says:
// that is what is trusted of another metastate, and no more.
package abroad
