package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/spf13/cobra"

	"github.com/metastate-p2p/metastate/node"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/audit"
	"github.com/metastate-p2p/metastate/protocol/bundle"
)

// audited is the answer of audit.
type audited struct {
	Pass       bool                     `json:"pass"`
	Steps      []auditStep              `json:"steps"`
	Metastate  protocol.ID              `json:"metastate"`
	Proposal   protocol.ID              `json:"proposal"`
	Title      string                   `json:"title"`
	Secret     bool                     `json:"secret"`
	Electorate uint64                   `json:"electorate"`
	Cast       uint64                   `json:"cast"` // ballots that checkpoints cover
	Counted    uint64                   `json:"counted"`
	Refused    map[protocol.Rule]uint64 `json:"refused"` // by rule
	Outcome    string                   `json:"outcome"` // as counted anew
	Winners    []string                 `json:"winners"`
	Votes      map[string]uint64        `json:"votes"`
	Names      map[string]string        `json:"names,omitempty"` // of an election: what its candidates are called
	Records    uint64                   `json:"records"`
	Checkpoint *node.CheckpointRef      `json:"checkpoint"` // the last that was recomputed
}

// auditStep is a step of an audit.
type auditStep struct {
	Name   string `json:"name"`
	Pass   bool   `json:"pass"`
	Detail string `json:"detail"`
	Record string `json:"record"`           // at fault: a record or a checkpoint
	Offset *int64 `json:"offset,omitempty"` // where the fault lies in the file, if no id is known
}

// auditing is what audit is told.
type auditing struct {
	proposal       string
	offline        bool
	passphraseFile *string
}

func (a *app) auditCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "audit PROPOSAL|FILE", Short: "Check a vote again from all records, step by step",
		Long: "Check a vote again from all records, step by step, and trust nothing that anybody computed\n" +
			"before. FILE is what metastate bundle export wrote; it needs no node and no vault. Otherwise\n" +
			"the running node gives its records, and they are checked here. What fails exits 6 and names\n" +
			"the record at fault, or where in the file it lies.",
		Args: arguments(1, 1),
	}
	var ask auditing
	c.Flags().StringVar(&ask.proposal, "proposal", "", "of a file with several votes, which one: its id or the beginning of it")
	c.Flags().BoolVar(&ask.offline, "offline", false, "take the argument for a file, and ask no node")
	ask.passphraseFile = openFlag(c)
	return local(a, c, func(ctx context.Context, args []string) (v audited, err error) {
		isFile := ask.offline || namesFile(args[0])
		if !isFile && ask.proposal != "" {
			return v, usage(c, "--proposal goes with a file, and there is none called %q", args[0])
		}
		if isFile {
			v, err = a.auditFile(c, args[0], ask)
		} else {
			v, err = a.auditHeld(ctx, args[0])
		}
		if err != nil || v.Pass {
			return v, err
		}
		return v, with(auditFailure(args[0], v), v)
	}, showAudit)
}

// namesFile reports whether an argument is a file, or can be nothing else.
func namesFile(arg string) bool {
	if _, err := os.Stat(arg); err == nil {
		return true
	}
	return strings.ContainsRune(arg, os.PathSeparator) || filepath.Ext(arg) != ""
}

// everyCore does n pieces of work on all cores.
func everyCore(n int, do func(i int)) {
	var next atomic.Int64
	var workers sync.WaitGroup
	for range min(n, runtime.GOMAXPROCS(0)) {
		workers.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				do(i)
			}
		})
	}
	workers.Wait()
}

// auditHeld audits a proposal from all that the running node holds.
func (a *app) auditHeld(ctx context.Context, ref string) (v audited, err error) {
	n, err := a.node(ctx)
	if err != nil {
		return v, err
	}
	defer n.Close()
	in := n.In(a.opts.metastate)
	p, err := in.Tally(ctx, ref)
	if err != nil {
		return v, err
	}
	r, w := io.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, err := in.Export(ctx, w, node.BundleRequest{})
		w.CloseWithError(err) // nil is the end
	}()
	defer func() {
		r.Close()
		<-done
	}()
	src, err := bundle.NewReader(r)
	if err != nil {
		return v, withoutPast(err)
	}
	report, err := audit.Run(src, audit.Config{Proposal: p.Proposal, Each: everyCore})
	if err != nil {
		return v, withoutPast(auditError(err, p.Proposal.String()))
	}
	return auditedOf(report, p.Proposal), nil
}

// withoutPast says of a node that does not hold the whole past what to do.
func withoutPast(err error) error {
	e, ok := errors.AsType[*node.Error](err)
	if !ok || e.Code != "no-history" {
		return err
	}
	return &failure{
		Code: e.Code, Exit: e.Exit, Message: e.Message + "; an audit begins with the founding",
		Hint: "metastate status says how far the past has come; or have a member whose node holds all of it run metastate bundle export, and audit that file",
	}
}

// auditError says why there is no audit of a proposal, and what to do.
func auditError(err error, proposal string) error {
	f := &failure{Message: inWords(err.Error())}
	switch {
	case errors.Is(err, audit.ErrPartial):
		f.Code, f.Exit, f.Hint = "no-history", node.ExitNotFound, "an audit takes a file with all of it: metastate bundle export --out FILE, without --since"
	case errors.Is(err, audit.ErrMetastate):
		f.Code, f.Exit, f.Hint = "other-metastate", node.ExitRefused, "see whether it is the file that was meant, and the id"
	case errors.Is(err, audit.ErrNoProposal):
		f.Code, f.Exit, f.Hint = "not-found", node.ExitNotFound, "metastate propose list"
	case errors.Is(err, audit.ErrNotOver):
		f.Code, f.Exit, f.Hint = "not-over", node.ExitRefused, "audit it when it is, which this waits for: metastate tally "+proposal+" --until final --wait 1h"
	case errors.Is(err, audit.ErrNoVote):
		f.Code, f.Exit, f.Hint = "no-vote", node.ExitRefused, "metastate propose why "+proposal
	default:
		return err
	}
	return f
}

func auditedOf(r audit.Report, proposal protocol.ID) audited {
	v := audited{
		Pass: r.Pass(), Metastate: r.Metastate, Proposal: proposal, Refused: r.Refused, Cast: r.Cast, Records: r.Records, Names: r.Names,
		Checkpoint: &node.CheckpointRef{Height: r.Checkpoint.Height, ID: r.Checkpoint.ID},
	}
	for _, s := range r.Steps {
		step := auditStep{Name: s.Name, Pass: s.Pass, Detail: s.Detail, Offset: s.Offset}
		if !s.Record.IsZero() {
			step.Record = s.Record.String()
		}
		v.Steps = append(v.Steps, step)
	}
	if p := r.Poll; p != nil {
		v.Title, v.Secret, v.Electorate = p.Body.Title, p.IsSecret(), p.Electorate
	}
	if x := r.Result; x != nil {
		v.Counted, v.Outcome, v.Winners, v.Votes = x.Counted, x.Outcome, x.Winners, node.SeatsOf(x.Votes)
		if r.Poll != nil && v.Secret && x.Counted < r.Poll.Body.Secret.Least { // nobody opened it
			v.Votes = nil
		}
	}
	return v.whole()
}

// whole is the answer with empty lists in place of none.
func (v audited) whole() audited {
	if v.Refused == nil {
		v.Refused = map[protocol.Rule]uint64{}
	}
	if v.Winners == nil {
		v.Winners = []string{}
	}
	if v.Votes == nil {
		v.Votes = map[string]uint64{}
	}
	return v
}

// auditFailure is that of an audit that does not pass: it says the first step that
// fails, and lists all.
func auditFailure(what string, v audited) *failure {
	f := &failure{
		Code: "audit-failed", Exit: node.ExitVerify,
		Hint: "get the history again, from another member: metastate bundle export --out FILE; if it fails there, too, show both to the members",
	}
	for _, s := range v.Steps {
		word := "PASS"
		if !s.Pass {
			if word = "FAIL"; f.Message == "" {
				f.Message = fmt.Sprintf("%s: the step %s fails: %s", what, s.Name, s.Detail)
				f.Record, f.Offset = s.Record, s.Offset
			}
		}
		f.Details = append(f.Details, word+"  "+s.Name+": "+s.Detail)
	}
	return f
}

func showAudit(p *page, v audited) {
	p.line("%s", v.Title)
	p.line("")
	for _, s := range v.Steps {
		p.line("PASS  %-9s  %s", s.Name, node.InNames(s.Detail, v.Names))
	}
	p.line("")
	p.fields("outcome", v.Outcome, "winners", orDash(strings.Join(called(v.Winners, v.Names), ", ")),
		"counted", strconv.FormatUint(v.Counted, 10), "electorate", strconv.FormatUint(v.Electorate, 10),
		"metastate", v.Metastate.String(), "checkpoint", fmt.Sprintf("%d, %s", v.Checkpoint.Height, v.Checkpoint.ID))
	if !p.plain {
		p.line("")
		p.line("This holds for whoever knows the metastate by this id; a file can be of one that somebody made up.")
	}
}
