package main

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/metastate-p2p/metastate/node"
	"github.com/metastate-p2p/metastate/node/httpapi"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/checkpoint"
)

// proven is the answer of roll prove.
type proven struct {
	File  string `json:"file"`
	Bytes int    `json:"bytes"`
}

func (a *app) rollProveCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "prove PERSONA", Short: "Write a proof of a persona's standing to a file",
		Long: "Write a proof of a persona's standing to a file: anyone can check it with roll verify, without a node. Who leaves can take it along.",
		Args: arguments(1, 1),
	}
	var out string
	c.Flags().StringVar(&out, "out", "", "the file to write")
	c.PreRunE = func(c *cobra.Command, _ []string) error {
		if out == "" {
			return usage(c, "--out is needed: the file to write")
		}
		return nil
	}
	return act(a, c, func(ctx context.Context, n *httpapi.Client, args []string) (v proven, err error) {
		s, err := n.In(a.opts.metastate).ProveStanding(ctx, args[0])
		if err != nil {
			return v, err
		}
		if v.File, err = filepath.Abs(out); err != nil {
			return v, fmt.Errorf("proof: %w", err)
		}
		v.Bytes = len(s.Proof)
		return v, writeFile(out, func(f *os.File) error { _, err := f.Write(s.Proof); return err })
	}, func(p *page, v proven) {
		p.line("The proof is in %s, %d bytes.", v.File, v.Bytes)
		p.next("metastate roll verify %s", quote(v.File))
	})
}

// standing is the answer of roll verify.
type standing struct {
	Valid      bool               `json:"valid"`
	Metastate  protocol.ID        `json:"metastate"`
	Persona    protocol.ID        `json:"persona"`
	Name       string             `json:"name"`
	Standing   string             `json:"standing"` // empty: not on the roll
	Offices    []string           `json:"offices"`
	Since      *time.Time         `json:"since"`
	AsOf       time.Time          `json:"asOf"`
	Checkpoint node.CheckpointRef `json:"checkpoint"`
	Clerks     []protocol.ID      `json:"clerks"` // who signed
}

func (a *app) rollVerifyCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "verify FILE", Short: "Check a proof of standing",
		Long: "Check a proof of standing. It needs no node and no vault. It shows that the clerks it names signed it; whether they were the clerks, the checkpoint's id tells who knows it: --checkpoint.",
		Args: arguments(1, 1),
	}
	var known string
	c.Flags().StringVar(&known, "checkpoint", "", "the id that the checkpoint must have")
	return local(a, c, func(_ context.Context, args []string) (standing, error) {
		return checkStanding(args[0], known)
	}, func(p *page, v standing) {
		state := v.Standing
		if state == "" {
			state = "not on the roll"
		}
		p.fields("standing", state, "name", orDash(v.Name), "persona", v.Persona.String(), "offices", orDash(strings.Join(v.Offices, ", ")),
			"since", when(v.Since), "as of", when(&v.AsOf), "metastate", v.Metastate.String(),
			"checkpoint", fmt.Sprintf("%d, %s", v.Checkpoint.Height, v.Checkpoint.ID), "signed by", node.Counted(len(v.Clerks), "clerk"))
	})
}

func checkStanding(file, known string) (v standing, err error) {
	bad := func(err error) (standing, error) {
		return v, &failure{Code: "proof-invalid", Exit: node.ExitVerify, Message: file + " is not the proof of a standing that is wanted: " + inWords(err.Error()), Hint: "ask for the file again: the other side runs metastate roll prove PERSONA --out FILE"}
	}
	f, err := openFile(file)
	if err != nil {
		return v, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, checkpoint.MaxStanding+1))
	if err != nil {
		return v, fmt.Errorf("reading %s: %w", file, err)
	}
	s, err := checkpoint.ParseStanding(b)
	if err != nil {
		return bad(err)
	}
	shown, err := s.Verify()
	if err != nil {
		return bad(err)
	}
	if known != "" && shown.Ref.ID.String() != known {
		return bad(fmt.Errorf("it is sound, and of the checkpoint %s, not of %s", shown.Ref.ID, known))
	}
	v = standing{
		Valid: true, Metastate: shown.Metastate, Persona: s.Persona, Offices: []string{}, AsOf: time.Unix(shown.AsOf, 0).UTC(),
		Checkpoint: node.CheckpointRef{Height: shown.Ref.Height, ID: shown.Ref.ID, StateRoot: hex.EncodeToString(shown.StateRoot[:])}, Clerks: []protocol.ID{},
	}
	for _, k := range shown.Clerks {
		v.Clerks = append(v.Clerks, k.Persona)
	}
	if m := shown.Member; m != nil {
		v.Name, v.Standing = m.Name, m.Standing().String()
		v.Offices = append(v.Offices, m.OfficeNames()...)
		if at := m.Since(); at != 0 {
			t := time.Unix(at, 0).UTC()
			v.Since = &t
		}
	}
	return v, nil
}
