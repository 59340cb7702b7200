package bench

import (
	"crypto/ed25519"
	"errors"
	"runtime"
	"sync"

	voi "github.com/oasisprotocol/curve25519-voi/primitives/ed25519"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/protocol"
)

// batchSize is how many signatures, or records, are verified together.
const batchSize = 1024

// A claim is one signature, with what it is to be verified against.
type claim struct {
	key identity.PublicKey
	msg []byte
	sig []byte
}

// claims are the signatures of a record and of those inside it.
func claims(list []claim, r *protocol.Record) []claim {
	h := r.Header()
	// SPEC §2.4. Were it made wrongly here, nothing would verify.
	msg := append([]byte("metastate/record/v1\x00"), byte(len(h.Kind)))
	id := r.ID()
	msg = append(append(append(msg, h.Kind...), h.Metastate[:]...), id[:]...)
	for i, key := range append([]identity.PublicKey{h.Key}, h.Cosigners...) {
		list = append(list, claim{key, msg, r.Signatures()[i*identity.SignatureSize:][:identity.SignatureSize]})
	}
	for _, c := range r.Carried() {
		list = claims(list, c)
	}
	return list
}

func allClaims(records []*protocol.Record) (list []claim) {
	for _, r := range records {
		list = claims(list, r)
	}
	return list
}

var errForged = errors.New("a good signature was refused")

// byVOIRemembering is byVOI with keys remembered as a node remembers them.
func byVOIRemembering(keys *identity.Verifier) func([]claim) error {
	return func(part []claim) error {
		b := keys.Batch()
		for _, c := range part {
			b.Add(c.key, c.msg, c.sig)
		}
		if ok, _ := b.Verify(); !ok {
			return errForged
		}
		return nil
	}
}

// byVOI verifies claims as one batch, with nothing around it.
func byVOI(part []claim) error {
	v := voi.NewBatchVerifierWithCapacity(len(part))
	opts := &voi.Options{Verify: voi.VerifyOptionsZIP_215}
	for _, c := range part {
		v.AddWithOptions(c.key[:], c.msg, c.sig, opts)
	}
	if !v.VerifyBatchOnly(nil) {
		return errForged
	}
	return nil
}

// byIdentity verifies claims under the protocol's rule, as records are.
func byIdentity(part []claim) error {
	var v identity.Batch
	for _, c := range part {
		v.Add(c.key, c.msg, c.sig)
	}
	if ok, _ := v.Verify(); !ok {
		return errForged
	}
	return nil
}

// byStdlib verifies claims one by one with crypto/ed25519.
func byStdlib(part []claim) error {
	for _, c := range part {
		if !ed25519.Verify(c.key[:], c.msg, c.sig) {
			return errForged
		}
	}
	return nil
}

// parse reads and verifies records.
func parse(part [][]byte) error {
	_, errs := protocol.ParseBatch(nil, part)
	return errors.Join(errs...)
}

// onThreads calls f for parts of batchSize of the list on so many threads, and
// lets the program use no more than these meanwhile.
func onThreads[T any](threads int, list []T, f func([]T) error) error {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(threads))
	parts := make(chan []T, len(list)/batchSize+1)
	for len(list) > 0 {
		n := min(batchSize, len(list))
		parts <- list[:n]
		list = list[n:]
	}
	close(parts)
	errs := make([]error, threads)
	var wg sync.WaitGroup
	for i := range threads {
		wg.Go(func() {
			for part := range parts {
				if errs[i] = f(part); errs[i] != nil {
					return
				}
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}
