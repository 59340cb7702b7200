package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/metastate-p2p/metastate/node"
)

// vaultMade is the answer of init.
type vaultMade struct {
	Vault string   `json:"vault"`
	Words []string `json:"words,omitempty"` // absent with --words-out
}

func (a *app) initCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "init", Short: "Make a vault, and print the 24 words of its entropy",
		Long: "Make a vault, and print the 24 words of its entropy, once.\n" +
			"A vault that is there is never overwritten.",
		Args: arguments(0, 0),
	}
	var wordsOut string
	running := false
	c.Flags().StringVar(&wordsOut, "words-out", "", "write the words to this new file, for you alone, and print none")
	return local(a, c, func(ctx context.Context, _ []string) (made vaultMade, err error) {
		data, err := a.dataDir()
		if err != nil {
			return made, err
		}
		if err := ensureDataDir(data); err != nil {
			return made, err
		}
		pass, err := a.newPassphrase()
		if err != nil {
			return made, err
		}
		defer clear(pass)
		words, err := a.createVault(data, pass, wordsOut)
		running = a.runs(ctx)
		return vaultMade{Vault: node.VaultPath(data), Words: words}, err
	}, func(p *page, made vaultMade) {
		p.line("Your vault is at %s.", made.Vault)
		if made.Words == nil {
			p.line("Its words are in %s: put them on paper, then destroy the file.", wordsOut)
		} else {
			p.line("")
			showWords(p, made.Words)
		}
		unlock := ""
		if a.opts.passphraseFile != "" {
			unlock = " --passphrase-file " + quote(a.opts.passphraseFile)
		}
		if running {
			p.next("metastate found NAME%s, or metastate join LINK%s", unlock, unlock)
			return
		}
		p.next("metastate run%s", unlock)
	})
}

// runs reports whether the folder's node is running.
func (a *app) runs(ctx context.Context) bool {
	n, err := a.node(ctx)
	if err != nil {
		return false
	}
	defer n.Close()
	_, err = n.Status(ctx, "")
	return err == nil
}
