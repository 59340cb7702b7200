package main

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/metastate-p2p/metastate/node"
	"github.com/metastate-p2p/metastate/node/httpapi"
	"github.com/metastate-p2p/metastate/protocol/charter"
)

func (a *app) charterCommands() *cobra.Command {
	return group("charter", "Read charters, and check one's own",
		a.charterShowCommand(), a.charterCheckCommand(), a.charterTemplatesCommand())
}

func (a *app) charterShowCommand() *cobra.Command {
	c := &cobra.Command{Use: "show", Short: "Show the charter in force", Args: arguments(0, 0)}
	return query(a, c, func(ctx context.Context, n *httpapi.Client, _ []string) (charterShown, error) {
		v, err := n.In(a.opts.metastate).Charter(ctx)
		if err != nil {
			return charterShown{}, err
		}
		ch, err := charter.ParseYAML([]byte(v.YAML))
		if err != nil {
			return charterShown{}, fmt.Errorf("the node's charter: %w", err)
		}
		return showCharter(ch, v.YAML), nil
	}, func(p *page, v charterShown) { p.text(v.YAML) })
}

// charterChecked is the answer of charter check.
type charterChecked struct {
	Valid    bool     `json:"valid"`
	Version  uint64   `json:"version,omitempty"`
	Template string   `json:"template,omitempty"`
	Offices  []string `json:"offices,omitempty"`
	Classes  []string `json:"classes,omitempty"`
	Problems []string `json:"problems"`
}

func (a *app) charterCheckCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "check FILE", Short: "Check a charter before founding with it",
		Long: "Check a charter before founding with it. It needs no node.",
		Args: arguments(1, 1),
	}
	var file string
	return local(a, c, func(_ context.Context, args []string) (charterChecked, error) {
		file = args[0]
		_, ch, err := readCharter(file)
		v := charterChecked{Valid: true, Version: ch.Version, Template: ch.Template, Problems: []string{}}
		for _, o := range ch.Offices {
			v.Offices = append(v.Offices, o.Name)
		}
		for _, class := range ch.Classes {
			v.Classes = append(v.Classes, class.Name)
		}
		return v, err
	}, func(p *page, v charterChecked) {
		p.line("The charter is valid.")
		p.fields("version", strconv.FormatUint(v.Version, 10), "offices", strings.Join(v.Offices, ", "), "classes", strings.Join(v.Classes, ", "))
		p.next("metastate found NAME --charter %s", quote(file))
	})
}

// readCharter reads a charter's file and checks it. An invalid one exits 6, with
// a line for each problem.
func readCharter(path string) (text string, ch charter.Charter, err error) {
	f, err := openFile(path)
	if err != nil {
		return "", ch, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, charter.MaxYAML+1)) // ParseYAML refuses the one byte more
	if err != nil {
		return "", ch, fmt.Errorf("reading the charter: %w", err)
	}
	ch, err = charter.ParseYAML(b)
	if err == nil {
		return string(b), ch, nil
	}
	problems := strings.Split(strings.TrimSpace(err.Error()), "\n")
	for i, p := range problems {
		problems[i] = inWords(p)
	}
	message := fmt.Sprintf("%s is no valid charter: %s", path, problems[0])
	if len(problems) > 1 {
		message = fmt.Sprintf("%s is no valid charter: it has %d problems", path, len(problems))
	}
	f2 := &failure{
		Code: "charter-invalid", Exit: node.ExitVerify, Message: oneLine(message),
		Hint: "mend it, then: metastate charter check " + quote(path),
	}
	if len(problems) > 1 {
		f2.Details = problems
	}
	return "", charter.Charter{}, with(f2, charterChecked{Problems: problems})
}

// templateList is the built-in charters.
type templateList struct {
	Templates []template `json:"templates"`
}

type template struct {
	Name string `json:"name"`
	YAML string `json:"yaml"`
}

func (a *app) charterTemplatesCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "templates [NAME]", Short: "List the built-in charters, or print one to begin from",
		Args:    arguments(0, 1),
		Example: "  metastate charter templates union >charter.yaml",
	}
	one := false
	return local(a, c, func(_ context.Context, args []string) (list templateList, err error) {
		names := charter.Templates()
		if one = len(args) == 1; one {
			names = args
		}
		for _, name := range names {
			ch, err := builtIn(name)
			if err != nil {
				return list, err
			}
			list.Templates = append(list.Templates, template{Name: name, YAML: string(charter.YAML(ch))})
		}
		return list, nil
	}, func(p *page, list templateList) {
		for i, t := range list.Templates {
			switch {
			case one:
				p.text(t.YAML)
			case i == 0 && !p.plain:
				p.line("%s (the default)", t.Name)
			default:
				p.line("%s", t.Name)
			}
		}
		if !one {
			p.next("metastate charter templates %s", list.Templates[0].Name)
		}
	})
}

// builtIn returns the charter of a template.
func builtIn(name string) (charter.Charter, error) {
	ch, err := charter.Template(name)
	if err != nil {
		return ch, &failure{
			Code: "not-found", Exit: node.ExitNotFound,
			Message: inWords(err.Error()), Hint: "metastate charter templates",
		}
	}
	return ch, nil
}
