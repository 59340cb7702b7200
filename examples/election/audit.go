package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"sync"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/audit"
	"github.com/metastate-p2p/metastate/protocol/bundle"
	"github.com/metastate-p2p/metastate/protocol/dagcbor"
)

// audit writes the whole history as a file, and has it audited by somebody who has
// nothing else; then by somebody whom a file is given in which one bit of a ballot
// is another.
func (t *story) audit() error {
	file, err := t.file()
	if err != nil {
		return err
	}
	if t.history != "" {
		if err := os.WriteFile(t.history, file, 0o666); err != nil {
			return err
		}
		t.say("The history is in %s: metastate audit %s", t.history, t.history)
	}
	report, err := t.auditFile(file)
	if err != nil {
		return err
	}
	for _, s := range report.Steps {
		verdict := "PASS"
		if !s.Pass {
			verdict = "FAIL"
		}
		t.say("%s  %-9s  %s", verdict, s.Name, s.Detail)
	}
	if !report.Pass() {
		return fmt.Errorf("the audit fails at %s", report.Fault().Name)
	}
	if report.Result.ID() != t.result.ID() {
		return errors.New("the audit comes to another result")
	}
	return t.tampered(file)
}

// tampered audits a file in which a bit of a ballot is another.
func (t *story) tampered(file []byte) error {
	var id protocol.ID
	for _, p := range t.people {
		if ballot, ok := t.expected[p.id]; ok {
			id = ballot
			break
		}
	}
	payload := t.records[id].Payload()
	at := bytes.Index(file, payload)
	if at < 0 {
		return errors.New("a ballot is not in the history")
	}
	other := slices.Clone(file)
	other[at+len(payload)/2] ^= 1
	report, err := t.auditFile(other)
	if err != nil {
		return err
	}
	if f := report.Fault(); f == nil || f.Record != id {
		return fmt.Errorf("a ballot was changed, and the audit says %+v", f)
	}
	t.say("With one bit of one ballot changed the audit fails, and names the ballot.")
	return nil
}

func (t *story) auditFile(file []byte) (audit.Report, error) {
	src, err := bundle.NewReader(bytes.NewReader(file))
	if err != nil {
		return audit.Report{}, err
	}
	return audit.Run(src, audit.Config{Metastate: t.genesis.ID(), Proposal: t.poll, Each: each})
}

// file is the history from the genesis on: all certificates, then all records in
// the order in which they became final.
func (t *story) file() ([]byte, error) {
	var ids []protocol.ID
	for _, f := range t.chain {
		ids = append(ids, f.covers...)
	}
	var out bytes.Buffer
	w, err := bundle.NewWriter(&out, bundle.Manifest{
		Metastate: t.genesis.ID(), Records: uint64(len(ids)), Certificates: uint64(len(t.chain)), Digest: bundle.Digest(slices.Values(ids)),
	})
	if err != nil {
		return nil, err
	}
	for i, f := range t.chain {
		b := dagcbor.Encode(struct { // SPEC §9.2
			Certificate []byte   `cbor:"certificate"`
			Chunks      [][]byte `cbor:"chunks"`
		}{f.cert.Encode(), f.chunks})
		if err := w.Certificate(uint64(i+1), b); err != nil {
			return nil, err
		}
	}
	for _, id := range ids {
		if err := w.Record(t.records[id].Inner()); err != nil {
			return nil, err
		}
	}
	err = w.Close()
	return out.Bytes(), err
}

// each does n things on all processors.
func each(n int, do func(i int)) {
	var wg sync.WaitGroup
	workers := runtime.NumCPU()
	for at := range workers {
		wg.Go(func() {
			for i := at; i < n; i += workers {
				do(i)
			}
		})
	}
	wg.Wait()
}
