package garbage

import (
	"runtime/debug"
	"testing"
)

// percent reads what is set.
func percent() int {
	p := debug.SetGCPercent(tight)
	debug.SetGCPercent(p)
	return p
}

func TestLooseWhileAnythingMoves(t *testing.T) {
	before := percent()
	c := Tighten()
	for i, step := range []struct {
		begin bool
		want  int
	}{{true, loose}, {true, loose}, {false, loose}, {false, tight}, {true, loose}, {false, tight}} {
		if c.Bulk(step.begin); percent() != step.want {
			t.Errorf("step %d: %d %%, want %d", i, percent(), step.want)
		}
	}
	if c.Release(); percent() != before {
		t.Errorf("%d %% after all, want %d", percent(), before)
	}
}
