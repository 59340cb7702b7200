package bench

import (
	"context"
	"fmt"
	"time"

	"github.com/metastate-p2p/metastate/protocol"
)

// verify measures reading and verifying records, protocol.ParseBatch, on one
// thread and on two. Records are ballots by as many voters, so that no key
// comes twice, with a proposal for every sixteenth.
func verify(ctx context.Context, o Options, r *report) error {
	o.Progress("signing records")
	records, err := strangers(o.Records)
	if err != nil {
		return err
	}
	inners := make([][]byte, len(records))
	for i, rec := range records {
		inners[i] = rec.Inner()
	}
	signatures := allClaims(records)
	return o.eachRun(ctx, func(int) error {
		rate := map[string]float64{}
		for _, threads := range []int{1, 2} {
			for _, x := range []struct {
				key, what string
				do        func() error
			}{
				{"parse", "read and verified, ParseBatch", func() error { return onThreads(threads, inners, parse) }},
				{"voi", "bound: curve25519-voi batches alone", func() error { return onThreads(threads, signatures, byVOI) }},
				{"stdlib", "crypto/ed25519 alone", func() error { return onThreads(threads, signatures, byStdlib) }},
			} {
				took, err := timed(x.do)
				if err != nil {
					return err
				}
				key := fmt.Sprintf("%sPerSecond%d", x.key, threads)
				rate[key] = perSecond(len(records), took)
				r.figure(key, fmt.Sprintf("%s, %s", x.what, count(threads, "thread")), "records/s", rate[key])
			}
		}
		verifying, decoding, err := shares(inners, signatures)
		if err != nil {
			return err
		}
		r.figure("verifyMicros", "of it verifying signatures", "µs/record", micros(verifying)/float64(len(records)))
		r.figure("decodeMicros", "of it all else: decoding, hashing, bookkeeping", "µs/record", micros(decoding)/float64(len(records)))
		r.ratio("parseToVOI1", "ParseBatch ÷ voi bound, 1 thread", "", rate["parsePerSecond1"]/rate["voiPerSecond1"])
		r.ratio("parseToVOI2", "ParseBatch ÷ voi bound, 2 threads", "", rate["parsePerSecond2"]/rate["voiPerSecond2"])
		r.ratio("parseToStdlib2", "ParseBatch ÷ crypto/ed25519, 2 threads", "", rate["parsePerSecond2"]/rate["stdlibPerSecond2"])
		r.ratio("decodeToVerification", "decoding ÷ verification", "≤ 0.15", decoding.Seconds()/verifying.Seconds())
		return nil
	})
}

// shares splits the time that reading and verifying takes on one thread:
// batches are read and verified, and their signatures then verified alone by
// the same code, in turn, so that both meet the same noise. The difference is
// everything but verification.
func shares(inners [][]byte, signatures []claim) (verifying, decoding time.Duration, err error) {
	at := 0
	err = onThreads(1, inners, func(part [][]byte) error {
		own := signatures[at:][:len(part)] // one signature each
		at += len(part)
		start := time.Now()
		if err := parse(part); err != nil {
			return err
		}
		middle := time.Now()
		if err := byIdentity(own); err != nil {
			return err
		}
		alone := time.Since(middle)
		verifying += alone
		decoding += middle.Sub(start) - alone
		return nil
	})
	return max(verifying, 1), decoding, err
}

// strangers makes n records of the usual kinds and sizes, each by a key of its
// own.
func strangers(n int) ([]*protocol.Record, error) {
	records := make([]*protocol.Record, n)
	return records, inParallel(n, func(i int) (err error) {
		records[i], err = stranger(i)
		return err
	})
}

// count writes a number of things.
func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
