package main

import (
	"bytes"
	"context"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// versionInfo says what this program was built from.
type versionInfo struct {
	Version  string `json:"version"`
	Revision string `json:"revision"` // of the source; empty if it was not kept
	Modified bool   `json:"modified"` // the source had changes of its own
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

func (a *app) versionCommand() *cobra.Command {
	c := &cobra.Command{Use: "version", Short: "Say which version this is", Args: arguments(0, 0)}
	return local(a, c, func(context.Context, []string) (versionInfo, error) {
		v := versionInfo{Version: "unknown", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
		info, ok := debug.ReadBuildInfo()
		if !ok {
			return v, nil
		}
		v.Version = info.Main.Version
		for _, s := range info.Settings {
			switch s.Key {
			case "vcs.revision":
				v.Revision = s.Value
			case "vcs.modified":
				v.Modified = s.Value == "true"
			}
		}
		return v, nil
	}, func(p *page, v versionInfo) {
		p.line("metastate %s %s %s %s", v.Version, orDash(v.Revision), v.Go, v.Platform)
	})
}

// completionScript is a shell's completion.
type completionScript struct {
	Shell  string `json:"shell"`
	Script string `json:"script"`
}

func (a *app) completionCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "completion SHELL", Short: "Print the completion script of bash, zsh, fish or powershell",
		Args:    arguments(1, 1),
		Example: "  source <(metastate completion bash)",
	}
	return local(a, c, func(_ context.Context, args []string) (completionScript, error) {
		var b bytes.Buffer
		var err error
		switch root := c.Root(); args[0] {
		case "bash":
			err = root.GenBashCompletionV2(&b, true)
		case "zsh":
			err = root.GenZshCompletion(&b)
		case "fish":
			err = root.GenFishCompletion(&b, true)
		case "powershell":
			err = root.GenPowerShellCompletionWithDesc(&b)
		default:
			return completionScript{}, usage(c, "there is no completion for %q: bash, zsh, fish or powershell", args[0])
		}
		if err != nil {
			return completionScript{}, fmt.Errorf("completion: %w", err)
		}
		return completionScript{Shell: args[0], Script: b.String()}, nil
	}, func(p *page, s completionScript) { p.buf.WriteString(s.Script) })
}
