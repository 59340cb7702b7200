package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/metastate-p2p/metastate/node"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/audit"
	"github.com/metastate-p2p/metastate/protocol/bundle"
)

// auditFile audits a vote of a bundle.
func (a *app) auditFile(c *cobra.Command, path string, ask auditing) (v audited, err error) {
	f, err := openFile(path)
	if err != nil {
		return v, err
	}
	defer f.Close()
	src, err := a.auditSource(c.Context(), f, ask)
	if err != nil {
		return alienAudit(path, err)
	}
	var config audit.Config
	if config.Metastate, err = a.ofMetastate(c, src); err != nil {
		return v, err
	}
	if m, known := src.Manifest(); known && m.From > 0 { // of its votes none can be audited
		return v, auditError(fmt.Errorf("%w: it goes on from checkpoint %d", audit.ErrPartial, m.From), "")
	}
	list, err := audit.List(src)
	if err != nil {
		return v, fmt.Errorf("reading %s: %w", path, err)
	}
	proposal, choice := chooseVote(path, list, ask.proposal)
	if choice != nil && choice.Exit == node.ExitUsage {
		return v, choice
	}
	config.Proposal = proposal // or none: then nothing but damage to the file can be told
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return v, fmt.Errorf("reading %s: %w", path, err)
	}
	if src, err = a.auditSource(c.Context(), f, ask); err != nil {
		return alienAudit(path, err)
	}
	config.Each = everyCore
	report, err := audit.Run(src, config)
	switch {
	case choice != nil && errors.Is(err, audit.ErrNoProposal): // and the file is sound
		return v, choice
	case err != nil:
		return v, auditError(err, config.Proposal.String())
	}
	return auditedOf(report, config.Proposal), nil
}

// auditSource begins to read a bundle, opened if it is sealed with a passphrase.
func (a *app) auditSource(ctx context.Context, f *os.File, ask auditing) (*bundle.Reader, error) {
	in, o, unlocked, err := a.openBundle(f, *ask.passphraseFile, false)
	switch {
	case err != nil:
		return nil, err
	case o == nil:
		return bundle.NewReader(untilDone{ctx.Err, in})
	case unlocked:
		return bundle.NewSealedReader(o)
	}
	failed := &failure{Code: "bundle-sealed", Exit: node.ExitLocked, Message: f.Name() + " is sealed with a passphrase", Hint: "give it with --open-with-passphrase-file FILE"}
	if o.Seal().With != bundle.WithPassphrase {
		failed.Message = f.Name() + " is sealed for the members of a metastate"
		failed.Hint = "import it into a member's node and audit the proposal there; or export it without --sealed"
	}
	return nil, failed
}

// untilDone is a reader that fails once somebody interrupts.
type untilDone struct {
	stopped func() error
	r       io.Reader
}

func (u untilDone) Read(b []byte) (int, error) {
	if err := u.stopped(); err != nil {
		return 0, err
	}
	return u.r.Read(b)
}

// alienAudit is the answer on a file that is no bundle, or can't be read.
func alienAudit(path string, err error) (v audited, _ error) {
	r, ok := notBundle(err)
	if !ok {
		return v, err
	}
	v = audited{Steps: []auditStep{{Name: audit.History, Detail: "The file is " + r.Reason + ".", Offset: r.Offset}}}.whole()
	return v, with(alien(path, r), v)
}

// ofMetastate is the metastate that a file must be of: by --metastate its id or
// the beginning of it, since a file knows no names that others chose.
func (a *app) ofMetastate(c *cobra.Command, src *bundle.Reader) (id protocol.ID, err error) {
	ref := a.opts.metastate
	m, known := src.Manifest()
	if ref == "" || !known {
		return id, nil
	}
	if id, err = protocol.ParseID(ref); err == nil {
		return id, nil
	}
	if !strings.HasPrefix(ref, "bafy") {
		return id, usage(c, "with a file --metastate is an id or the beginning of one, not %q", ref)
	}
	if !strings.HasPrefix(m.Metastate.String(), ref) {
		return id, auditError(fmt.Errorf("%w: %s", audit.ErrMetastate, m.Metastate), "")
	}
	return m.Metastate, nil
}

// chooseVote finds the vote that is meant in a file: the one of --proposal, else
// the only one that is over.
func chooseVote(path string, list []audit.Listed, ref string) (protocol.ID, *failure) {
	var found, over []audit.Listed
	for _, x := range list {
		if ref != "" && strings.HasPrefix(x.Proposal.String(), ref) {
			found = append(found, x)
		}
		if x.Closed {
			over = append(over, x)
		}
	}
	switch {
	case len(found) == 1:
		return found[0].Proposal, nil
	case len(found) > 1:
		f := &failure{Code: "usage", Exit: node.ExitUsage, Message: fmt.Sprintf("several proposals in %s begin with %q", path, ref)}
		return protocol.ID{}, listing(f, path, found)
	case ref != "":
		return protocol.ID{}, listing(&failure{Code: "not-found", Exit: node.ExitNotFound, Message: fmt.Sprintf("%s has no proposal %s", path, ref)}, path, list)
	case len(over) == 1:
		return over[0].Proposal, nil
	case len(over) == 0:
		return protocol.ID{}, listing(&failure{Code: "not-found", Exit: node.ExitNotFound, Message: path + " has no vote that is over"}, path, list)
	}
	f := &failure{Code: "usage", Exit: node.ExitUsage, Message: fmt.Sprintf("%s has %d votes that are over: say which with --proposal", path, len(over))}
	return protocol.ID{}, listing(f, path, over)
}

// listing adds what there is to choose from.
func listing(f *failure, path string, list []audit.Listed) *failure {
	for i, x := range list {
		if i == maxDetails {
			f.Details = append(f.Details, fmt.Sprintf("and %d more", len(list)-i))
			break
		}
		state := "not over"
		if x.Closed {
			state = "over"
		}
		f.Details = append(f.Details, fmt.Sprintf("%s  %s (%s)", x.Proposal, clean(x.Title), state))
	}
	f.Hint = "get a file that has it: metastate bundle export --out FILE"
	if len(list) > 0 {
		f.Hint = "metastate audit " + quote(path) + " --proposal " + list[0].Proposal.String()
	}
	return f
}
