// Package bench measures what a node costs on this machine, each figure beside
// the bound that no implementation could pass, taken in the same run.
//
// # Terms
//
// A run measures every figure of a benchmark once, ours and the bounds in turn,
// so that a machine that slows down slows both. A figure's median is over all
// runs. A ratio is taken within each run, and its median over the runs: it is
// worth more than either figure, because noise that lasts longer than a run
// falls out of it.
//
// The bound of verification is the batch verifier of curve25519-voi with
// nothing around it, on the very signatures of the records: no decoding, no
// hashing, no bookkeeping, in the batches that are fastest. The bound of the
// store is one file that the same bytes are appended to, with one fsync for
// each batch.
//
// # Guarantees
//
// What is measured is the product: records are signed and verified, batches are
// durable, nodes meet over TCP. A benchmark that finds a wrong result (a record
// refused, sets that differ in the end) fails and gives no figure. Nothing is
// compared with a target: the bars are printed beside the ratios, for people.
package bench
