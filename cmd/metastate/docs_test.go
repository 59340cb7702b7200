package main

import (
	"encoding"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/metastate-p2p/metastate/cmd/metastate/internal/bench"
	"github.com/metastate-p2p/metastate/identity/vault"
	"github.com/metastate-p2p/metastate/node"
	"github.com/metastate-p2p/metastate/node/httpapi"
)

// shapes are the answers of the commands. One that is missing here fails
// TestDocumented, as does a field that docs/cli.md does not name.
var shapes = map[string]reflect.Type{
	"init":              reflect.TypeFor[vaultMade](),
	"run":               reflect.TypeFor[ready](),
	"status":            reflect.TypeFor[httpapi.StatusList](),
	"list":              reflect.TypeFor[httpapi.StatusList](),
	"doctor":            reflect.TypeFor[node.Checkup](),
	"found":             reflect.TypeFor[node.Membership](),
	"join":              reflect.TypeFor[node.Membership](),
	"leave":             reflect.TypeFor[node.RecordRef](),
	"fork":              reflect.TypeFor[node.Forked](),
	"split":             reflect.TypeFor[node.Split](),
	"claim":             reflect.TypeFor[node.RecordRef](),
	"pact list":         reflect.TypeFor[node.PactList](),
	"invite create":     reflect.TypeFor[invited](),
	"invite list":       reflect.TypeFor[httpapi.InviteList](),
	"invite revoke":     reflect.TypeFor[node.RecordRef](),
	"roll list":         reflect.TypeFor[node.RollList](),
	"roll show":         reflect.TypeFor[node.RollEntry](),
	"roll why":          reflect.TypeFor[node.Why](),
	"roll admit":        reflect.TypeFor[node.RecordRef](),
	"roll suspend":      reflect.TypeFor[node.RecordRef](),
	"roll expel":        reflect.TypeFor[node.RecordRef](),
	"roll endorse":      reflect.TypeFor[node.RecordRef](),
	"roll prove":        reflect.TypeFor[proven](),
	"roll verify":       reflect.TypeFor[standing](),
	"roll motions":      reflect.TypeFor[node.MotionList](),
	"office recall":     reflect.TypeFor[node.RecordRef](),
	"office resign":     reflect.TypeFor[node.RecordRef](),
	"office endorse":    reflect.TypeFor[node.RecordRef](),
	"office list":       reflect.TypeFor[httpapi.OfficeList](),
	"dispute show":      reflect.TypeFor[node.Dispute](),
	"dispute follow":    reflect.TypeFor[node.Dispute](),
	"dispute part":      reflect.TypeFor[node.Dispute](),
	"office appoint":    reflect.TypeFor[node.RecordRef](),
	"guardians set":     reflect.TypeFor[node.Rotation](),
	"guardians show":    reflect.TypeFor[node.GuardianSet](),
	"rotate":            reflect.TypeFor[node.RecordRef](),
	"recover request":   reflect.TypeFor[node.RecoveryRequest](),
	"recover support":   reflect.TypeFor[node.RecordRef](),
	"recover withdraw":  reflect.TypeFor[node.RecordRef](),
	"recover list":      reflect.TypeFor[node.RecoveryList](),
	"why":               reflect.TypeFor[node.Why](),
	"charter show":      reflect.TypeFor[charterShown](),
	"charter check":     reflect.TypeFor[charterChecked](),
	"charter templates": reflect.TypeFor[templateList](),
	"propose open":      reflect.TypeFor[node.ProposalRef](),
	"propose list":      reflect.TypeFor[node.ProposalList](),
	"propose show":      reflect.TypeFor[node.Proposal](),
	"propose revise":    reflect.TypeFor[node.RecordRef](),
	"propose withdraw":  reflect.TypeFor[node.RecordRef](),
	"propose support":   reflect.TypeFor[node.RecordRef](),
	"propose comment":   reflect.TypeFor[node.RecordRef](),
	"propose comments":  reflect.TypeFor[node.CommentList](),
	"propose contest":   reflect.TypeFor[node.RecordRef](),
	"propose dissent":   reflect.TypeFor[node.RecordRef](),
	"vote delegate":     reflect.TypeFor[node.RecordRef](),
	"vote delegations":  reflect.TypeFor[node.DelegationList](),
	"propose why":       reflect.TypeFor[node.Why](),
	"vote cast":         reflect.TypeFor[node.VoteReceipt](),
	"vote receipt":      reflect.TypeFor[node.VoteReceipt](),
	"vote check":        reflect.TypeFor[node.VoteReceipt](),
	"tally":             reflect.TypeFor[node.Tally](),
	"audit":             reflect.TypeFor[audited](),
	"count":             reflect.TypeFor[counted](),
	"bundle export":     reflect.TypeFor[exported](),
	"bundle outbox":     reflect.TypeFor[outbox](),
	"bundle import":     reflect.TypeFor[node.ImportReport](),
	"bundle verify":     reflect.TypeFor[verified](),
	"bundle inspect":    reflect.TypeFor[inspected](),
	"nearby":            reflect.TypeFor[node.Nearby](),
	"prune":             reflect.TypeFor[node.Pruning](),
	"sync now":          reflect.TypeFor[node.SyncReport](),
	"sync status":       reflect.TypeFor[httpapi.SyncStatus](),
	"peers list":        reflect.TypeFor[httpapi.PeerList](),
	"bench verify":      reflect.TypeFor[bench.Result](),
	"bench store":       reflect.TypeFor[bench.Result](),
	"bench advance":     reflect.TypeFor[bench.Result](),
	"bench sync":        reflect.TypeFor[bench.Result](),
	"bench gossip":      reflect.TypeFor[bench.Result](),
	"bench idle":        reflect.TypeFor[bench.Result](),
	"bench reconcile":   reflect.TypeFor[bench.Result](),
	"bench ballot":      reflect.TypeFor[bench.Result](),
	"version":           reflect.TypeFor[versionInfo](),
	"completion":        reflect.TypeFor[completionScript](),

	"vote prepare":       reflect.TypeFor[preparedVote](),
	"vote challenge":     reflect.TypeFor[challenged](),
	"vote check-opening": reflect.TypeFor[node.OpenedBallot](),
	"trustee status":     reflect.TypeFor[node.TrusteeStatus](),
}

// docs/cli.md has a section for each command, which names each of its flags and
// each field of its answer, and has none for a command that there is not.
func TestDocumented(t *testing.T) {
	b, err := os.ReadFile(filepath.Join("..", "..", "docs", "cli.md"))
	if err != nil {
		t.Fatal(err)
	}
	sections := map[string]string{}
	for _, part := range strings.Split(string(b), "\n### metastate ")[1:] {
		name, text, _ := strings.Cut(part, "\n")
		text, _, _ = strings.Cut(text, "\n## ")
		sections[name] = text
	}
	general, _, _ := strings.Cut(string(b), "\n## The node\n")
	root := newApp(vault.Params{}).root()
	root.PersistentFlags().VisitAll(func(f *pflag.Flag) {
		if !strings.Contains(general, "`--"+f.Name) {
			t.Errorf("the flag --%s of every command is not documented", f.Name)
		}
	})
	for _, c := range leaves(root) {
		name := strings.TrimPrefix(c.CommandPath(), "metastate ")
		text, ok := sections[name]
		if !ok {
			t.Errorf("metastate %s is not documented", name)
			continue
		}
		delete(sections, name)
		c.LocalNonPersistentFlags().VisitAll(func(f *pflag.Flag) {
			if !strings.Contains(text, "--"+f.Name) {
				t.Errorf("metastate %s: --%s is not documented", name, f.Name)
			}
		})
		shape, ok := shapes[name]
		if !ok {
			t.Errorf("metastate %s: its answer is not in the list of shapes", name)
			continue
		}
		for _, field := range fieldsOf(shape) {
			if !strings.Contains(text, "`"+field+"`") {
				t.Errorf("metastate %s: the field %s is not documented", name, field)
			}
		}
	}
	for name := range sections {
		t.Errorf("metastate %s is documented, and is no command", name)
	}
}

// Every command takes --json, says in a line what it does, and checks how many
// arguments it gets.
func TestCommands(t *testing.T) {
	for _, c := range leaves(newApp(vault.Params{}).root()) {
		if c.Short == "" || strings.HasSuffix(c.Short, ".") || c.Args == nil || c.RunE == nil {
			t.Errorf("%s: short %q, args checked: %v", c.CommandPath(), c.Short, c.Args != nil)
		}
		if c.InheritedFlags().Lookup("json") == nil {
			t.Errorf("%s does not take --json", c.CommandPath())
		}
	}
}

// leaves are the commands that do something.
func leaves(c *cobra.Command) []*cobra.Command {
	if !c.HasSubCommands() {
		return []*cobra.Command{c}
	}
	var all []*cobra.Command
	for _, sub := range c.Commands() {
		if sub.Name() != "help" {
			all = append(all, leaves(sub)...)
		}
	}
	return all
}

// fieldsOf are the names of all fields in the JSON of a type.
func fieldsOf(t reflect.Type) (names []string) {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map:
		return fieldsOf(t.Elem())
	case reflect.Struct:
	default:
		return nil
	}
	if t.Implements(reflect.TypeFor[encoding.TextMarshaler]()) {
		return nil
	}
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "-" {
			continue
		}
		if name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
		names = append(names, fieldsOf(f.Type)...)
	}
	return names
}
