package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
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
		verifying, reading, err := shares(records)
		if err != nil {
			return err
		}
		r.figure("verifyMicros", "verifying a signature, 1 thread", "µs/record", micros(verifying))
		r.figure("decodeMicros", "decoding and hashing, 1 thread", "µs/record", micros(reading))
		r.ratio("parseToVOI1", "ParseBatch ÷ voi bound, 1 thread", "", rate["parsePerSecond1"]/rate["voiPerSecond1"])
		r.ratio("parseToVOI2", "ParseBatch ÷ voi bound, 2 threads", "", rate["parsePerSecond2"]/rate["voiPerSecond2"])
		r.ratio("parseToStdlib2", "ParseBatch ÷ crypto/ed25519, 2 threads", "", rate["parsePerSecond2"]/rate["stdlibPerSecond2"])
		r.ratio("decodeToVerification", "decoding ÷ verification", "≤ 0.15", reading.Seconds()/verifying.Seconds())
		return nil
	})
}

// partSize is how many records shares measures at once: few enough that most
// parts meet no interruption, and as many as the protocol verifies together.
const partSize = 256

// shares are the times that verifying a record's signature takes on one thread,
// and that reading it takes without: the medians over parts that take turns.
// What is read is a ballot that claims to be an invite: it is decoded, hashed
// and, as the last of the checks before its signature, refused. So the time
// includes the words of a refusal, which is a little too much.
func shares(records []*protocol.Record) (verifying, reading time.Duration, err error) {
	var signatures []claim
	var odd [][]byte
	for _, r := range records {
		if r.Kind() == protocol.Ballot {
			signatures = claims(signatures, r)
			payload := bytes.Replace(r.Payload(), []byte(protocol.Ballot), []byte(protocol.Invite), 1)
			odd = append(odd, protocol.EncodeInner(payload, r.Signatures()))
		}
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	var verified, read []float64
	for len(odd) > 0 {
		n := min(partSize, len(odd))
		start := time.Now()
		_, errs := protocol.ParseBatch(nil, odd[:n])
		middle := time.Now()
		if err := byIdentity(signatures[:n]); err != nil {
			return 0, 0, err
		}
		end := time.Now()
		for _, err := range errs {
			if !errors.Is(err, protocol.ErrMalformed) {
				return 0, 0, fmt.Errorf("a ballot that claims to be an invite: %w", err)
			}
		}
		read = append(read, float64(middle.Sub(start))/float64(n))
		verified = append(verified, float64(end.Sub(middle))/float64(n))
		odd, signatures = odd[n:], signatures[n:]
	}
	return time.Duration(median(verified)), time.Duration(median(read)), nil
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
