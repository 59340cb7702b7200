package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
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
	Signatures   string         `json:"signatures"` // checked
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
			"exits 6, with the record's id, or the offset where no id can be known.",
		Args: arguments(1, 1),
	}
	var file string
	return local(a, c, func(_ context.Context, args []string) (v verified, err error) {
		file = args[0]
		f, err := openFile(file)
		if err != nil {
			return v, err
		}
		defer f.Close()
		report, err := bundle.Verify(f)
		refused := refusedOf(report.Problems)
		if err != nil {
			alien, ok := notBundle(err)
			if !ok {
				return v, fmt.Errorf("reading %s: %w", args[0], err)
			}
			refused = append(refused, alien)
		}
		v = verified{
			Pass: err == nil && report.OK(), Signatures: "checked", Metastate: report.Metastate, Records: report.Records,
			Certificates: report.Certificates, Bytes: report.Bytes, Refused: refused, Unlisted: report.Unlisted,
		}
		if !v.Pass {
			return v, with(refusals(args[0]+" is not sound", refused), v)
		}
		return v, nil
	}, func(p *page, v verified) {
		p.line("The bundle is sound: every hash and every signature in it holds.")
		p.fields(
			"metastate", orDash(v.Metastate.String()), "records", strconv.FormatUint(v.Records, 10),
			"certificates", strconv.FormatUint(v.Certificates, 10)+", whose signatures a node checks",
			"bytes", strconv.FormatInt(v.Bytes, 10),
		)
		p.next("metastate bundle import %s", quote(file))
	})
}

// notBundle gives an error that says a file is no bundle the form of damage at
// its beginning.
func notBundle(err error) (node.Refusal, bool) {
	why := "it does not begin as a bundle of records does"
	switch {
	case errors.Is(err, bundle.ErrNotCAR):
		why = "it does not begin as a CARv1 file does: it is no bundle of records, or a damaged one"
	case !errors.Is(err, bundle.ErrNotBundle):
		return node.Refusal{}, false
	}
	return node.Refusal{Offset: new(int64), Reason: why}, true
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
	Refused      []node.Refusal `json:"refused"`
}

func (a *app) bundleInspectCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "inspect FILE", Short: "Say what a file of records holds",
		Long: "Say what a file of records holds. It needs no node and no vault. Damage that it meets\n" +
			"exits 6.",
		Args: arguments(1, 1),
	}
	return local(a, c, func(_ context.Context, args []string) (v inspected, err error) {
		f, err := openFile(args[0])
		if err != nil {
			return v, err
		}
		defer f.Close()
		if v, err = inspect(f); err != nil {
			return v, fmt.Errorf("reading %s: %w", args[0], err)
		}
		if len(v.Refused) > 0 {
			return v, with(refusals(args[0]+" is not sound", v.Refused), v)
		}
		return v, nil
	}, func(p *page, v inspected) {
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
func inspect(src io.Reader) (inspected, error) {
	v := inspected{Kinds: map[string]int{}, Signatures: "checked", Refused: []node.Refusal{}}
	r, err := bundle.NewReader(src)
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
