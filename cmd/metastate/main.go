// Command metastate runs a node of metastates, and asks a running one.
//
// Everything but the commands that read files (bundle verify and inspect,
// charter check and templates) and those about the program (version,
// completion) is a request to the node of the data folder, over its socket. What
// scripts may rely on, command by command, is in docs/cli.md.
package main

import (
	"os"

	"github.com/metastate-p2p/metastate/identity/vault"
)

func main() {
	harden()
	os.Exit(newApp(vault.DefaultParams()).run(os.Args[1:]))
}
