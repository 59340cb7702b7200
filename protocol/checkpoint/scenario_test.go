package checkpoint

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/certificate"
)

var update = flag.Bool("update", false, "rewrite the expected lines of testdata/scenarios")

// Scenarios drive one machine line by line; what it answers stands indented
// below each line. Clerks are named A, B, C…; the proposer of round 0 is B, of
// round 1 C, and so on. Values are named by any word. The language:
//
//	clerks N SELF                    the clerk set and which one the machine is
//	start | crash                    crash: resume from the last persist, start
//	value ROUND NAME                 answer need-value
//	judged NAME fresh|timeless ok|bad
//	proposal CLERK ROUND NAME [VALIDROUND]
//	prevote|precommit CLERK ROUND NAME|nil
//	timeout propose|prevote|precommit ROUND
//	messages                         what would be sent again
func TestScenarios(t *testing.T) {
	files, err := filepath.Glob("testdata/scenarios/*.txt")
	if err != nil || len(files) < 8 {
		t.Fatalf("%d scenarios, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := playScenario(t, string(want))
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			} else if got != string(want) {
				t.Errorf("%s:\n%s", file, firstDifference(got, string(want)))
			}
		})
	}
}

func firstDifference(got, want string) string {
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := 0; i < len(g) || i < len(w); i++ {
		var a, b string
		if i < len(g) {
			a = g[i]
		}
		if i < len(w) {
			b = w[i]
		}
		if a != b {
			return fmt.Sprintf("line %d: got  %q\n        want %q\nin full:\n%s", i+1, a, b, got)
		}
	}
	return ""
}

type scenario struct {
	t       *testing.T
	cfg     Config
	self    int
	machine *Machine
	disk    []byte
	names   map[protocol.ID]string
	values  map[string][]byte
}

func playScenario(t *testing.T, script string) string {
	s := &scenario{t: t, names: map[protocol.ID]string{{}: "nil"}, values: map[string][]byte{}}
	var out strings.Builder
	for line := range strings.Lines(script) {
		if strings.HasPrefix(line, "    ") {
			continue
		}
		out.WriteString(line)
		words := strings.Fields(line)
		if len(words) == 0 || words[0] == "#" {
			continue
		}
		for _, answer := range s.do(words) {
			out.WriteString("    " + answer + "\n")
		}
	}
	return out.String()
}

func (s *scenario) do(w []string) []string {
	switch w[0] {
	case "clerks":
		s.setUp(s.number(w[1]), int(w[2][0]-'A'))
		return nil
	case "start":
		return s.step(Start{})
	case "crash":
		m, err := Resume(s.cfg, s.disk)
		if err != nil {
			s.t.Fatal(err)
		}
		s.machine = m
		return s.step(Start{})
	case "messages":
		var out []string
		for _, m := range s.machine.Messages() {
			out = append(out, "- "+s.show(m))
		}
		return out
	}
	return s.step(s.input(w))
}

func (s *scenario) setUp(n, self int) {
	s.self = self
	s.cfg = Config{Metastate: testMetastate, Height: 1, Clerks: testClerks(n), Signer: testKey(self)}
	m, err := New(s.cfg)
	if err != nil {
		s.t.Fatal(err)
	}
	s.machine = m
}

func (s *scenario) input(w []string) Input {
	switch w[0] {
	case "value":
		return Propose{Round: uint32(s.number(w[1])), Value: s.value(w[2])}
	case "judged":
		return Judged{Value: s.id(w[1]), Fresh: w[2] == "fresh", OK: w[3] == "ok"}
	case "timeout":
		step := map[string]Step{"propose": StepPropose, "prevote": StepPrevote, "precommit": StepPrecommit}[w[1]]
		return TimedOut{Step: step, Round: uint32(s.number(w[2]))}
	}
	kind := map[string]Kind{"proposal": KindProposal, "prevote": KindPrevote, "precommit": KindPrecommit}[w[0]]
	if kind == 0 {
		s.t.Fatalf("unknown line %q", w)
	}
	clerk := int(w[1][0] - 'A')
	h := Header{Kind: kind, Clerk: clerk, Height: 1, Round: uint32(s.number(w[2])), ValidRound: NoRound, Value: s.id(w[3])}
	var value []byte
	if kind == KindProposal {
		value = s.value(w[3])
		if len(w) > 4 {
			h.ValidRound = int64(s.number(w[4]))
		}
	}
	m, err := ParseMessage(testMetastate, s.cfg.Clerks, signMessage(testKey(clerk), testMetastate, h, value, s.cfg.Prev).Bytes())
	if err != nil {
		s.t.Fatalf("%q: %v", w, err)
	}
	return Received{m}
}

func (s *scenario) number(w string) int {
	n, err := strconv.Atoi(w)
	if err != nil {
		s.t.Fatal(err)
	}
	return n
}

func (s *scenario) value(name string) []byte {
	if s.values[name] == nil {
		s.name(name, mustEncode(s.t, testValue(len(s.cfg.Clerks), name)))
	}
	return s.values[name]
}

func (s *scenario) name(name string, b []byte) {
	s.values[name], s.names[protocol.Sum(b)] = b, name
}

func (s *scenario) id(name string) protocol.ID {
	if name == "nil" {
		return protocol.ID{}
	}
	return protocol.Sum(s.value(name))
}

func (s *scenario) step(in Input) []string {
	outs, verdict := s.machine.Step(in)
	var lines []string
	if verdict != Accepted {
		lines = append(lines, verdict.String())
	}
	for _, o := range outs {
		lines = append(lines, s.output(o))
	}
	return lines
}

func (s *scenario) output(o Output) string {
	switch o := o.(type) {
	case Persist:
		s.disk = o.Record
		m, err := Resume(s.cfg, o.Record)
		if err != nil {
			s.t.Fatal(err)
		}
		if again := m.record(); string(again) != string(o.Record) {
			s.t.Fatal("a record resumed is not the record")
		}
		return fmt.Sprintf("persist (round %d, %d signed%s%s)", m.at.round, len(m.own), s.lock(", locked", m.locked), s.lock(", valid", m.valid))
	case Broadcast:
		return "send " + s.show(o.Message)
	case NeedValue:
		return fmt.Sprintf("need-value %d", o.Round)
	case Judge:
		return fmt.Sprintf("judge %s %s", s.names[o.ID], map[bool]string{true: "fresh", false: "timeless"}[o.Fresh])
	case Schedule:
		return fmt.Sprintf("schedule %v %d in %v", o.Step, o.Round, o.After)
	case Decided:
		return "decided " + s.certificate(o.Certificate)
	case Refused:
		return "refused " + s.certificate(o.Certificate)
	case Accuse:
		e := o.Evidence
		return fmt.Sprintf("accuse %c of two %vs in round %d", 'A'+e.Clerk, e.Kind, e.Round)
	}
	return "?"
}

func (s *scenario) lock(what string, l lock) string {
	if l.round == NoRound {
		return ""
	}
	return fmt.Sprintf("%s %s@%d", what, s.names[l.id], l.round)
}

func (s *scenario) certificate(c certificate.Certificate) string {
	if _, err := c.Verify(testMetastate, certificate.Signers{Era: s.cfg.Era, Clerks: s.cfg.Clerks}); err != nil {
		s.t.Fatal(err)
	}
	who := ""
	for _, sig := range c.Signatures {
		who += string(rune('A' + sig.Clerk))
	}
	return fmt.Sprintf("%s in round %d by %s", s.names[c.ID()], c.Round, who)
}

func (s *scenario) show(m *Message) string {
	h := m.Header()
	line := fmt.Sprintf("%v %c %d %s", h.Kind, 'A'+h.Clerk, h.Round, s.names[h.Value])
	if h.ValidRound != NoRound {
		line += fmt.Sprintf(" %d", h.ValidRound)
	}
	return line
}
