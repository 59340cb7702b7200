package protocol_test

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"strings"
	"testing"
)

const module = "github.com/metastate-p2p/metastate/"

// layers is the order in which packages may build on each other: a package
// imports only from the layers before its own (or, inside one entry that ends
// in /..., from its siblings). It is the whole tree: a package that no entry
// names fails the test.
var layers = [][]string{
	{"protocol/dagcbor"},
	{"protocol/merkle"},
	{"identity"},
	{"identity/vault"},
	{"protocol"},
	{"protocol/internal/wire"},
	{"protocol/certificate"},
	{"protocol/reconcile/sketch"},
	{"protocol/reconcile"},
	{"protocol/charter"},
	{"protocol/roll"},
	{"protocol/abroad"},
	{"protocol/decision/count"},
	{"protocol/decision/count/blt"},
	{"protocol/decision/count/approval"},
	{"protocol/decision/count/chart"},
	{"protocol/decision/count/consent"},
	{"protocol/decision/count/counttest"},
	{"protocol/decision/count/irv"},
	{"protocol/decision/count/equalshares"},
	{"protocol/decision/count/lists"},
	{"protocol/decision/count/meekstv"},
	{"protocol/decision/count/plurality"},
	{"protocol/decision/count/quadratic"},
	{"protocol/decision/count/schulze"},
	{"protocol/decision/count/scottishstv"},
	{"protocol/decision/count/score"},
	{"protocol/decision/count/sheet"},
	{"protocol/decision/count/yesno"},
	{"protocol/decision/secret/group"},
	{"protocol/decision/secret/proof"},
	{"protocol/decision/secret/keygen"},
	{"protocol/decision/secret"},
	{"protocol/decision/committee"},
	{"protocol/decision"},
	{"protocol/state"},
	{"protocol/state/statetest"},
	{"protocol/checkpoint"},
	{"protocol/snapshot"},
	{"protocol/bundle"},
	{"protocol/audit"},
	{"protocol/slip"},
	{"store"},
	{"node/internal/ownnet"},
	{"node/internal/socks"},
	{"node/internal/socks/sockstest"},
	{"node/qr"},
	{"node/internal/p2p"},
	{"node/internal/p2p/p2psim"},
	{"node/internal/p2p/gossipbench"},
	{"node"},
	{"node/nodetest"},
	{"node/httpapi"},
	{"cmd/...", "examples/..."},
}

// forbidden are imports that no package of a tree may have. Each of our packages
// is checked by itself, so that none gets at them through another.
var forbidden = map[string][]string{
	"protocol": {"net", "os", "log/slog", "time", "github.com/libp2p/", "github.com/dgraph-io/badger", module + "identity/vault", module + "store", module + "node"},
	"identity": {"net", "os", "github.com/libp2p/", "github.com/dgraph-io/badger", module + "protocol", module + "store", module + "node"},
	"store":    {"net", "github.com/libp2p/", module + "protocol/state", module + "node", module + "identity/vault"},
	"node/internal/p2p": {
		module + "store", module + "protocol/state", module + "protocol/checkpoint", "github.com/dgraph-io/badger",
	},
	"cmd":      {module + "node/internal", "github.com/libp2p/", "github.com/dgraph-io/badger"},
	"examples": {module + "node/internal", "github.com/libp2p/", "github.com/dgraph-io/badger"},
}

// allowed are exceptions to forbidden, each with its reason.
var allowed = map[string]string{
	"protocol → time":                        "the agreement's timeouts are durations; nothing reads the clock, see TestNoClock",
	"identity → protocol/dagcbor":            "a leaf that imports nothing of ours",
	"protocol/decision/count/counttest → os": "it reads elections for tests",
	"identity/vault → os":                    "the vault is a file",
	"identity → log/slog":                    "secrets hide themselves from logs",
}

type listed struct {
	ImportPath string
	Imports    []string
}

// tree lists the module's packages with what they import directly, tests left
// out.
func tree(t *testing.T) map[string]listed {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports", module+"...")
	out, err := cmd.Output()
	if err != nil {
		t.Skipf("go list does not run here: %v", err)
	}
	all := map[string]listed{}
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			if len(all) < len(layers) {
				t.Fatalf("only %d packages were listed", len(all))
			}
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all[strings.TrimPrefix(p.ImportPath, module)] = p
	}
}

func layerOf(pkg string) int {
	for i, layer := range layers {
		for _, name := range layer {
			if pkg == name || strings.HasSuffix(name, "/...") && strings.HasPrefix(pkg+"/", strings.TrimSuffix(name, "...")) {
				return i
			}
		}
	}
	return -1
}

func TestImportsNeverRunBackUp(t *testing.T) {
	for pkg, p := range tree(t) {
		own := layerOf(pkg)
		if own < 0 {
			t.Errorf("%s has no place in the layers of this test", pkg)
			continue
		}
		for _, imp := range p.Imports {
			dep, ours := strings.CutPrefix(imp, module)
			if !ours {
				continue
			}
			if at := layerOf(dep); at > own || at == own && !strings.HasSuffix(layers[own][0], "/...") {
				t.Errorf("%s imports %s, which is not below it", pkg, dep)
			}
		}
	}
}

func under(pkg, root string) bool { return pkg == root || strings.HasPrefix(pkg, root+"/") }

func TestForbiddenImports(t *testing.T) {
	for pkg, p := range tree(t) {
		for root, list := range forbidden {
			if !under(pkg, root) {
				continue
			}
			for _, imp := range p.Imports {
				for _, bad := range list {
					if imp != bad && !strings.HasPrefix(imp, strings.TrimSuffix(bad, "/")+"/") {
						continue
					}
					short := strings.TrimPrefix(imp, module)
					if allowed[root+" → "+short] == "" && allowed[pkg+" → "+short] == "" {
						t.Errorf("%s imports %s", pkg, short)
					}
				}
			}
		}
	}
}

// TestNoClock: the rules read no clock and start nothing; they may only speak
// of durations.
func TestNoClock(t *testing.T) {
	cmd := exec.Command("grep", "-rnE", "--include=*.go", "--exclude=*_test.go",
		`\btime\.(Now|Since|Until|After|AfterFunc|Sleep|NewTimer|NewTicker|Tick)\b|^\s*go func|^\s*go [a-z]`, ".")
	out, err := cmd.Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.ExitCode() == 1 {
		return // no match
	}
	if err != nil {
		t.Skipf("grep does not run here: %v", err)
	}
	t.Errorf("the protocol reads the clock or starts a goroutine:\n%s", out)
}
