package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/metastate-p2p/metastate/identity/vault"
	"github.com/metastate-p2p/metastate/node/httpapi"
)

// pollEvery is how often a command that waits asks again.
const pollEvery = 150 * time.Millisecond

// app is one run of the program.
type app struct {
	stdin          *os.File
	stdout, stderr io.Writer
	// vaultCost is what trying a passphrase costs in the vaults made here.
	vaultCost vault.Params
	commands  *regexp.Regexp // the program's commands in a text, see asTyped
	opts      options
}

// options are the flags that every command takes.
type options struct {
	data           string
	metastate      string
	json           bool
	plain          bool
	quiet          bool
	yes            bool
	wait           duration
	waitGiven      bool
	until          string
	passphraseFile string
}

func newApp(cost vault.Params) *app {
	return &app{stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, vaultCost: cost}
}

// run runs one command and returns the exit code.
func (a *app) run(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the program at once
	root := a.root()
	root.SetArgs(args)
	// Before the flags are parsed the form of an error follows from the
	// arguments: a script that asks for JSON gets it for a flag unknown, too.
	a.opts.json = asksForJSON(args)
	c, err := root.ExecuteContextC(ctx)
	if err == nil {
		return 0
	}
	a.opts.json = a.opts.json || asksForJSON(args) // a flag that fails resets it
	f := asFailure(err)
	f.Message = clip(f.Message)
	if f.Hint == "" {
		f.Hint = nextAfter(f.Exit, c)
	}
	if ctx.Err() != nil {
		f = &failure{Code: "interrupted", Exit: exitInterrupted, Message: "interrupted"}
	}
	return a.fail(f)
}

func asksForJSON(args []string) bool {
	if i := slices.Index(args, "--"); i >= 0 {
		args = args[:i]
	}
	return slices.ContainsFunc(args, func(s string) bool {
		return s == "--json" || strings.HasPrefix(s, "--json=") && s != "--json=false"
	})
}

// root returns the tree of commands.
func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "metastate",
		Short: "Found, join and run communities that decide together, without a server",
		Long: "Found, join and run communities that decide together, without a server.\n\n" +
			"Begin with: metastate run\nThen, in another terminal: metastate found NAME, or metastate join LINK",
		SilenceErrors:     true,
		SilenceUsage:      true,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
		PersistentPreRunE: a.before,
	}
	a.opts.wait = defaultWait
	f := root.PersistentFlags()
	f.SortFlags = false
	f.StringVar(&a.opts.data, "data", "", "folder of the node (default $METASTATE_DATA, else metastate in the user's data folder)")
	f.StringVar(&a.opts.metastate, "metastate", "", "id, beginning of an id, or name; may be left out where there is one")
	f.BoolVar(&a.opts.json, "json", false, "print one JSON object")
	f.BoolVar(&a.opts.plain, "plain", false, "print tabs between columns, and neither headings nor hints")
	f.BoolVar(&a.opts.quiet, "quiet", false, "print nothing but errors")
	f.BoolVar(&a.opts.yes, "yes", false, "do not ask for confirmation")
	f.Var(&a.opts.wait, "wait", "how long to wait: for --until, for the node to start, or as the command says")
	f.StringVar(&a.opts.until, "until", "", "ask again until this holds: FIELD, FIELD=VALUE or FIELD>=N of the answer")
	f.StringVar(&a.opts.passphraseFile, "passphrase-file", "", "file that holds the vault's passphrase")
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usage(c, "%s", flagWords(err))
	})
	root.SetHelpCommand(a.helpCommand())
	root.SetHelpFunc(a.help)
	root.AddCommand(
		a.initCommand(), a.runCommand(), a.doctorCommand(), a.statusCommand(), a.listCommand(),
		a.foundCommand(), a.joinCommand(), a.leaveCommand(),
		a.forkCommand(), a.splitCommand(), a.claimCommand(), a.pactCommands(),
		a.inviteCommands(), a.rollCommands(), a.officeCommands(), a.disputeCommands(), a.charterCommands(),
		a.guardiansCommands(), a.rotateCommand(), a.recoverCommands(),
		a.proposeCommands(), a.voteCommands(), a.trusteeCommands(), a.tallyCommand(), a.auditCommand(), a.countCommand(), a.whyCommand(),
		a.bundleCommands(), a.pruneCommand(), a.syncCommands(), a.nearbyCommand(), a.peersCommands(), a.benchCommands(),
		a.versionCommand(), a.completionCommand(),
	)
	asGroup(root)
	a.commands = commandsIn(root)
	return root
}

// group is a command that only holds others.
func group(use, short string, commands ...*cobra.Command) *cobra.Command {
	g := &cobra.Command{Use: use, Short: short}
	g.AddCommand(commands...)
	asGroup(g)
	return g
}

// asGroup makes a command that only holds others refuse anything else: cobra
// would print help and exit 0.
func asGroup(g *cobra.Command) {
	g.Args = cobra.ArbitraryArgs
	g.SuggestionsMinimumDistance = 2
	g.RunE = func(c *cobra.Command, args []string) error {
		if len(args) == 0 {
			return usage(c, "%s needs to know what to do: %s", c.CommandPath(), strings.Join(names(c), ", "))
		}
		if near := c.SuggestionsFor(args[0]); len(near) > 0 {
			return usage(c, "unknown command %q for %q: did you mean %s?", args[0], c.CommandPath(), strings.Join(near, " or "))
		}
		return usage(c, "unknown command %q for %q", args[0], c.CommandPath())
	}
}

func names(c *cobra.Command) (list []string) {
	for _, sub := range c.Commands() {
		if sub.IsAvailableCommand() {
			list = append(list, sub.Name())
		}
	}
	return list
}

// isQuery marks the commands that --until goes with.
const isQuery = "query"

// mustName are the flags that choose something, and of which an empty value, as
// of a variable that is not set, would choose something else.
var mustName = []string{"data", "metastate", "presence", "passphrase-file"}

// before checks the flags that every command takes.
func (a *app) before(c *cobra.Command, args []string) error {
	if err := onlyText(c, args); err != nil {
		return err
	}
	for _, name := range mustName {
		if f := c.Flags().Lookup(name); f != nil && f.Changed && f.Value.String() == "" {
			return usage(c, "--%s is empty: name one, or leave --%s out", name, name)
		}
	}
	a.opts.waitGiven = c.Flags().Changed("wait")
	if a.opts.wait <= 0 {
		return usage(c, "--wait needs a duration over 0, such as 30s")
	}
	if a.opts.until == "" && c.Flags().Changed("until") {
		return usage(c, "--until is empty: say FIELD, FIELD=VALUE or FIELD>=N")
	}
	if a.opts.until != "" && c.Annotations[isQuery] == "" {
		return usage(c, "--until goes with commands that ask, and %q does something", c.CommandPath())
	}
	return nil
}

// oneOf refuses two flags of which only one can be meant.
func oneOf(c *cobra.Command, one, other string) error {
	if c.Flags().Changed(one) && c.Flags().Changed(other) {
		return usage(c, "--%s and --%s exclude each other: give one of them", one, other)
	}
	return nil
}

// arguments checks that there are from least to most, without end if most is negative.
func arguments(least, most int) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		switch {
		case len(args) < least:
			return usage(c, "too few arguments: %s", c.UseLine())
		case most >= 0 && len(args) > most:
			return usage(c, "unexpected argument %q: %s", args[most], c.UseLine())
		}
		for _, s := range args {
			if s == "" {
				return usage(c, "an argument is empty: %s", c.UseLine())
			}
		}
		return nil
	}
}

// local is a command that needs no node: ask answers, show prints the answer
// for people.
func local[T any](a *app, c *cobra.Command, ask func(ctx context.Context, args []string) (T, error), show func(*page, T)) *cobra.Command {
	c.RunE = func(c *cobra.Command, args []string) error {
		v, err := ask(c.Context(), args)
		if err != nil {
			return err
		}
		return emit(a, v, show)
	}
	return c
}

// act is a command that makes the node do something.
func act[T any](a *app, c *cobra.Command, ask func(ctx context.Context, n *httpapi.Client, args []string) (T, error), show func(*page, T)) *cobra.Command {
	return local(a, c, func(ctx context.Context, args []string) (v T, err error) {
		n, err := a.node(ctx)
		if err != nil {
			return v, err
		}
		defer n.Close()
		return ask(ctx, n, args)
	}, show)
}

// query is a command that asks the node, again and again with --until.
func query[T any](a *app, c *cobra.Command, ask func(ctx context.Context, n *httpapi.Client, args []string) (T, error), show func(*page, T)) *cobra.Command {
	c.Annotations = map[string]string{isQuery: "yes"}
	return local(a, c, func(ctx context.Context, args []string) (v T, err error) {
		n, err := a.node(ctx)
		if err != nil {
			return v, err
		}
		defer n.Close()
		if a.opts.until == "" {
			return ask(ctx, n, args)
		}
		cond, err := parseCondition(a.opts.until)
		if err != nil {
			return v, usage(c, "--until: %s", err)
		}
		return await(ctx, time.Duration(a.opts.wait), cond, func(ctx context.Context) (T, error) {
			return ask(ctx, n, args)
		})
	}, show)
}

// node returns a client of the running node. With --wait and without --until it
// waits for the node to start.
func (a *app) node(ctx context.Context) (*httpapi.Client, error) {
	data, err := a.dataDir()
	if err != nil {
		return nil, err
	}
	n, err := httpapi.NewClient(data)
	if err != nil {
		return nil, err
	}
	if a.opts.waitGiven && a.opts.until == "" {
		wait, cancel := context.WithTimeout(ctx, time.Duration(a.opts.wait))
		defer cancel()
		if err := n.Wait(wait, pollEvery); err != nil {
			return nil, err
		}
	}
	return n, nil
}

// helpCommand is cobra's help, but for a topic that there is not.
func (a *app) helpCommand() *cobra.Command {
	return &cobra.Command{
		Use: "help [COMMAND…]", Short: "Explain a command",
		RunE: func(c *cobra.Command, args []string) error {
			target, rest, err := c.Root().Find(args)
			if err != nil || len(rest) > 0 {
				return usage(c, "there is no command %q", strings.Join(args, " "))
			}
			return target.Help()
		},
	}
}

// help prints a command's help, as JSON where that is asked for.
func (a *app) help(c *cobra.Command, _ []string) {
	c.InitDefaultHelpFlag()
	text := c.Short
	if c.Long != "" {
		text = c.Long
	}
	if c.Example != "" {
		text += "\n\n" + strings.TrimSpace(c.Example)
	}
	text += "\n\n" + c.UsageString()
	type helpText struct {
		Help string `json:"help"`
	}
	quiet := a.opts.quiet
	a.opts.quiet = false // whoever asks for help wants it
	defer func() { a.opts.quiet = quiet }()
	if err := emit(a, helpText{text}, func(p *page, h helpText) { p.text(h.Help) }); err != nil {
		fmt.Fprintln(a.stderr, "error:", err)
	}
}

var errNoHome = errors.New("there is no home folder to keep the node's data in")
