package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/metastate-p2p/metastate/node"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/bundle"
)

// verified is the answer of bundle verify.
type verified struct {
	Pass         bool           `json:"pass"`
	Signatures   string         `json:"signatures"` // checked or, of a sealed bundle that was not opened, unchecked
	Sealed       bundle.With    `json:"sealed,omitempty"`
	Metastate    protocol.ID    `json:"metastate"`
	Records      uint64         `json:"records"`
	Certificates uint64         `json:"certificates"`
	Bytes        int64          `json:"bytes"`
	Refused      []node.Refusal `json:"refused"`
	Unlisted     uint64         `json:"unlisted,omitempty"` // refusals too many to list
}

func (a *app) bundleVerifyCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "verify FILE", Short: "Check every hash and signature in a file",
		Long: "Check every hash and signature in a file. It needs no node and no vault. Any damage\n" +
			"exits 6, with the record's id, or the offset where no id can be known. Of a bundle\n" +
			"that is sealed and not opened it checks whether all of it is there and undamaged.",
		Args: arguments(1, 1),
	}
	var file string
	passphrase := openFlag(c)
	return local(a, c, func(_ context.Context, args []string) (v verified, err error) {
		file = args[0]
		f, err := openFile(file)
		if err != nil {
			return v, err
		}
		defer f.Close()
		v, err = a.verifyBundle(f, *passphrase)
		if err != nil {
			return v, err
		}
		if !v.Pass {
			return v, with(refusals(args[0], args[0]+" is not sound", v.Refused, getAgain), v)
		}
		return v, nil
	}, func(p *page, v verified) {
		if v.Signatures == unchecked {
			p.line("The bundle is sealed, and whole as far as can be told without its key: every hash holds.")
			p.fields("opened with", string(v.Sealed), "bytes", strconv.FormatInt(v.Bytes, 10))
			p.next("metastate bundle import --dry-run %s", quote(file))
			return
		}
		p.line("The bundle is sound: every hash and every signature in it holds.")
		p.fields(
			"metastate", orDash(v.Metastate.String()), "records", strconv.FormatUint(v.Records, 10),
			"certificates", strconv.FormatUint(v.Certificates, 10)+", whose signatures a node checks",
			"bytes", strconv.FormatInt(v.Bytes, 10),
		)
		p.next("metastate bundle import %s", quote(file))
	})
}

// What is said of signatures.
const checked, unchecked = "checked", "unchecked"

// verifyBundle verifies a file as far as it can be opened.
func (a *app) verifyBundle(f *os.File, passphraseFile string) (v verified, err error) {
	src, o, unlocked, err := a.openBundle(f, passphraseFile, false)
	if err != nil {
		return v, err
	}
	var report bundle.Report
	v.Signatures = checked
	switch {
	case o == nil:
		report, err = bundle.Verify(src)
	case unlocked:
		v.Sealed = o.Seal().With
		report, err = bundle.VerifySealed(o)
	default:
		v.Sealed, v.Signatures = o.Seal().With, unchecked
		report, err = o.Check()
	}
	v.Refused = refusedOf(report.Problems)
	if err != nil {
		alien, ok := notBundle(err)
		if !ok {
			return v, fmt.Errorf("reading %s: %w", f.Name(), err)
		}
		v.Refused = append(v.Refused, alien)
	}
	v.Pass = err == nil && report.OK()
	v.Metastate, v.Records, v.Certificates = report.Metastate, report.Records, report.Certificates
	v.Bytes, v.Unlisted = report.Bytes, report.Unlisted
	return v, nil
}

// notBundle gives an error that says a file is no bundle the form of damage at
// its beginning.
func notBundle(err error) (node.Refusal, bool) {
	for _, why := range []error{bundle.ErrNotCAR, bundle.ErrNotBundle} {
		if errors.Is(err, why) {
			return node.Refusal{Offset: new(int64), Reason: why.Error()}, true
		}
	}
	return node.Refusal{}, false
}

func refusedOf(problems []bundle.Problem) []node.Refusal {
	list := make([]node.Refusal, 0, len(problems))
	for _, p := range problems {
		r := node.Refusal{Offset: &p.Offset, Reason: inWords(p.Reason)}
		if !p.ID.IsZero() {
			r.ID = p.ID.String()
		}
		list = append(list, r)
	}
	return list
}

// inspected is the answer of bundle inspect.
type inspected struct {
	Metastate    protocol.ID    `json:"metastate"`
	From         uint64         `json:"from"`  // the height it goes on from; 0: the beginning
	Until        uint64         `json:"until"` // the highest certificate's height
	Records      int            `json:"records"`
	Certificates int            `json:"certificates"`
	Kinds        map[string]int `json:"kinds"` // records of each kind
	Signatures   string         `json:"signatures"`
	Sealed       bundle.With    `json:"sealed,omitempty"` // what opens it
	Refused      []node.Refusal `json:"refused"`
}

func (a *app) bundleInspectCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "inspect FILE", Short: "Say what a file of records holds",
		Long: "Say what a file of records holds. It needs no node and no vault. Damage that it meets\n" +
			"exits 6. Of a bundle that is sealed and not opened it says how it is sealed.",
		Args: arguments(1, 1),
	}
	passphrase := openFlag(c)
	return local(a, c, func(_ context.Context, args []string) (v inspected, err error) {
		f, err := openFile(args[0])
		if err != nil {
			return v, err
		}
		defer f.Close()
		if v, err = a.inspect(f, *passphrase); err != nil {
			return v, fmt.Errorf("reading %s: %w", args[0], err)
		}
		if len(v.Refused) > 0 {
			return v, with(refusals(args[0], args[0]+" is not sound", v.Refused, getAgain), v)
		}
		return v, nil
	}, func(p *page, v inspected) {
		if v.Signatures == unchecked {
			p.line("The bundle is sealed: what it holds shows to who has its key.")
			p.fields("opened with", string(v.Sealed))
			return
		}
		p.fields("metastate", orDash(v.Metastate.String()),
			"from checkpoint", strconv.FormatUint(v.From, 10), "to checkpoint", strconv.FormatUint(v.Until, 10),
			"records", strconv.Itoa(v.Records), "certificates", strconv.Itoa(v.Certificates))
		var rows [][]string
		for _, kind := range slices.Sorted(maps.Keys(v.Kinds)) {
			rows = append(rows, []string{kind, strconv.Itoa(v.Kinds[kind])})
		}
		p.line("")
		p.table("It holds no records.", []string{"KIND", "RECORDS"}, rows)
	})
}

// inspect reads a bundle. Damage is in the answer; the error is that of reading.
func (a *app) inspect(f *os.File, passphraseFile string) (inspected, error) {
	v := inspected{Kinds: map[string]int{}, Signatures: checked, Refused: []node.Refusal{}}
	src, o, unlocked, err := a.openBundle(f, passphraseFile, false)
	if err != nil {
		return v, err
	}
	var r *bundle.Reader
	switch {
	case o == nil:
		r, err = bundle.NewReader(src)
	case unlocked:
		v.Sealed = o.Seal().With
		r, err = bundle.NewSealedReader(o)
	default:
		v.Sealed, v.Signatures = o.Seal().With, unchecked
		report, err := o.Check()
		v.Refused = refusedOf(report.Problems)
		return v, err
	}
	if err != nil {
		alien, ok := notBundle(err)
		if !ok {
			return v, err
		}
		v.Refused = append(v.Refused, alien)
		return v, nil
	}
	if m, ok := r.Manifest(); ok {
		v.Metastate, v.From = m.Metastate, m.From
	}
	for item, problem := range r.All() {
		switch {
		case problem != nil:
			v.refuse(*problem)
		case item.Certificate != nil:
			v.Certificates++
			v.Until = max(v.Until, item.Height)
		default:
			record, err := protocol.Parse(item.Inner)
			if err != nil {
				v.refuse(bundle.Problem{ID: item.ID, Offset: item.Offset, Reason: err.Error()})
				continue
			}
			v.Records++
			v.Kinds[string(record.Kind())]++
		}
	}
	return v, r.Err()
}

// refuse lists a problem, up to as many as a report lists.
func (v *inspected) refuse(p bundle.Problem) {
	if len(v.Refused) < bundle.MaxProblems {
		v.Refused = append(v.Refused, refusedOf([]bundle.Problem{p})...)
	}
}
