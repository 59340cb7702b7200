package bench

import (
	"context"
	"errors"
	"fmt"
	"testing"
)

func TestTmp(t *testing.T) {
	for _, n := range Names() {
		r, err := Run(t.Context(), n, Options{Records: 60, Diff: 5, Runs: 2, Dir: t.TempDir(), Progress: func(s string) { t.Log(s) }})
		t.Log(r, err)
		if err != nil {
			t.Error(err)
		}
	}
	_ = errors.New
	_ = fmt.Sprint
	_ = context.Background
}
