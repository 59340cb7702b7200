package httpapi

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/metastate-p2p/metastate/node"
)

func TestNobodyThere(t *testing.T) {
	c, err := NewClient(dataDir(t))
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Status(t.Context(), "")
	e, ok := errors.AsType[*node.Error](err)
	if !ok || e.Exit != node.ExitUnreachable || !strings.Contains(e.Hint, "metastate run --data") {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := c.Wait(ctx, time.Millisecond); codeOf(err) != CodeNotRunning {
		t.Errorf("waiting: %v", err)
	}
}

func TestWaitForTheNode(t *testing.T) {
	dir := dataDir(t)
	c, err := NewClient(dir)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- c.Wait(t.Context(), time.Millisecond) }()
	l, err := Listen(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := <-done; err != nil {
		t.Errorf("%v", err)
	}
}

// What answers may be anything.
func TestOddAnswers(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{
		"no JSON":         func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") },
		"nothing":         func(http.ResponseWriter, *http.Request) {},
		"no problem":      func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", 500) },
		"an odd problem":  func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, problemType, 500, problem{Code: "x"}) },
		"a redirect":      func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusFound) },
		"a broken answer": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"too much": func(w http.ResponseWriter, _ *http.Request) {
			for range maxAnswer>>20 + 1 {
				_, _ = w.Write(bytes.Repeat([]byte(" "), 1<<20))
			}
		},
	} {
		_, err := serve(t, h).Status(t.Context(), "")
		if e, ok := errors.AsType[*node.Error](err); !ok || e.Exit == 0 || e.Message == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestExportSaysHowItEnds(t *testing.T) {
	full := &node.Error{Code: "disk-full", Exit: 1, Message: "no more room"}
	for name, test := range map[string]struct {
		export  func(io.Writer) (int, error)
		records int
		code    string
	}{
		"whole":       {func(w io.Writer) (int, error) { _, err := io.WriteString(w, "records"); return 7, err }, 7, ""},
		"empty":       {func(io.Writer) (int, error) { return 0, nil }, 0, ""},
		"never began": {func(io.Writer) (int, error) { return 0, full }, 0, "disk-full"},
		"broke off":   {func(w io.Writer) (int, error) { _, _ = io.WriteString(w, "rec"); return 3, full }, 0, "disk-full"},
		"went away":   {func(w io.Writer) (int, error) { _, _ = io.WriteString(w, "rec"); panic(http.ErrAbortHandler) }, 0, CodeNotRunning},
		"odd characters": {func(w io.Writer) (int, error) {
			_, _ = io.WriteString(w, "r")
			return 0, &node.Error{Code: "x", Exit: 1, Message: "a\r\nb: ы"}
		}, 0, "x"},
		"says no records": {func(w io.Writer) (int, error) { _, err := io.WriteString(w, "r"); return -1, err }, 0, CodeCutShort},
	} {
		c := serve(t, Handler(brokenNode{inside: brokenCommunity{export: test.export}}, quiet))
		n, err := c.In("").Export(t.Context(), io.Discard, node.BundleRequest{})
		if n != test.records || codeOf(err) != test.code || (test.code == "") != (err == nil) {
			t.Errorf("%s: %d, %v", name, n, err)
		}
	}
}

// What the caller can't write is the caller's error: the node has not gone away.
func TestExportThatCannotBeWritten(t *testing.T) {
	c := serve(t, Handler(brokenNode{inside: brokenCommunity{export: func(w io.Writer) (int, error) {
		_, err := io.WriteString(w, "records")
		return 7, err
	}}}, quiet))
	_, err := c.In("").Export(t.Context(), fullWriter{}, node.BundleRequest{})
	if _, told := errors.AsType[*node.Error](err); told || !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("%v", err)
	}
}

type fullWriter struct{}

func (fullWriter) Write([]byte) (int, error) { return 0, syscall.ENOSPC }

// Every call reaches a real node, which knows one metastate.
func TestClientOfANode(t *testing.T) {
	ctx, c := t.Context(), memory(t)
	m, err := c.Found(ctx, node.FoundRequest{Name: "Testers", As: "Anna"})
	if err != nil {
		t.Fatal(err)
	}
	list, err := c.Status(ctx, "Testers")
	if err != nil || len(list.Metastates) != 1 || list.Metastates[0].ID != m.Metastate {
		t.Errorf("status: %+v, %v", list, err)
	}
	in := c.In(m.Metastate.String()[:20])
	first := uint64(1)
	roll, err := in.Roll(ctx, &first, true)
	if err != nil || len(roll.Members) != 1 || roll.Members[0].Persona != m.Persona {
		t.Errorf("roll: %+v, %v", roll, err)
	}
	if e, err := in.RollMember(ctx, "Anna"); err != nil || e.Persona != m.Persona {
		t.Errorf("member: %+v, %v", e, err)
	}
	if _, err := in.RollMember(ctx, "../why"); codeOf(err) != "not-found" {
		t.Errorf("a name of dots and slashes: %v", err)
	}
	if o, err := in.Offices(ctx); err != nil || len(o.Offices) == 0 || len(o.Offices[0].Holders) != 1 {
		t.Errorf("offices: %+v, %v", o, err)
	}
	link, err := in.CreateInvite(ctx, node.InviteRequest{Uses: 1, Expires: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Join(ctx, node.JoinRequest{Link: link.Link[:len(link.Link)-4]}); codeOf(err) != "bad-link" {
		t.Errorf("a bad link: %v", err)
	}
	var b bytes.Buffer
	n, err := in.Export(ctx, &b, node.BundleRequest{})
	if err != nil || n < 3 || b.Len() == 0 {
		t.Errorf("export: %d records, %v", n, err)
	}
	report, err := in.Import(ctx, &b, false)
	if err != nil || report.Imported != 0 || report.Duplicate != n || report.Refused == nil {
		t.Errorf("import: %+v, %v", report, err)
	}
	_, err = c.In("another").Charter(ctx)
	if codeOf(err) != "not-found" {
		t.Errorf("another metastate: %v", err)
	}
}
