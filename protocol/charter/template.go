package charter

import (
	"embed"
	"fmt"
	"strings"
)

// DefaultTemplate is the template of whoever names none.
const DefaultTemplate = "union"

//go:embed templates/*.yaml
var files embed.FS

// templates are the built-in charters, each with who it is for.
var templates = [...]struct{ name, purpose string }{
	{"union", "Template union: for people who work, anywhere and for anyone, and act together. Every member may invite, and great questions take time and a turnout."},
	{"exiles", "Template exiles: for people whom a state may be looking for. Only officers invite, invites are few and short-lived, and votes stay open long, for those who are seldom online."},
	{"coop", "Template coop: for a co-operative that shares work and surplus. Budgets have a turnout and time for objections."},
	{"founders", "Template founders: for people who start companies and stand by each other. Small and quick, and counted of the whole roll when the charter or a member is at stake."},
	{"club", "Template club: for any circle with a common interest. Few offices and short periods."},
}

// Templates returns the names of the built-in charters, the default first.
func Templates() []string {
	names := make([]string, len(templates))
	for i, t := range templates {
		names[i] = t.name
	}
	return names
}

// Template returns the built-in charter of that name. For any other name the
// error lists the choices.
func Template(name string) (Charter, error) {
	for _, t := range templates {
		if t.name != name {
			continue
		}
		b, err := files.ReadFile("templates/" + name + ".yaml")
		if err != nil {
			return Charter{}, fmt.Errorf("charter: reading template %s: %w", name, err)
		}
		return ParseYAML(b)
	}
	return Charter{}, fmt.Errorf("charter: there is no template %s; choose one of %s", quoted(name), strings.Join(Templates(), ", "))
}

// purpose says who the template is for, if it is a built-in.
func purpose(name string) string {
	for _, t := range templates {
		if t.name == name {
			return t.purpose
		}
	}
	return ""
}
