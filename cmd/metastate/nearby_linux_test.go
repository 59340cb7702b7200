package main

import (
	"os"
	"testing"
)

// While a node looks nearby, to ask about it changes nothing; only --for does.
func TestNearbyIsAsked(t *testing.T) {
	if os.Getenv(bedEnv) == "" {
		t.Parallel()
		inOwnWorld(t, "TestNearbyIsAsked")
		return
	}
	b := newBed(t)
	b.atHome("anna", 21, "masquerade")
	anna := b.live("anna")
	anna.do("found", "Testers", "--wait", "20s")
	until := func(args ...string) any {
		t.Helper()
		return anna.do(append([]string{"nearby"}, args...)...)["until"]
	}
	set := until("--for", "50m")
	if asked := until(); set == nil || asked != set {
		t.Errorf("until %v, and once asked until %v", set, asked)
	}
	if longer := until("--for", "55m"); longer == set {
		t.Errorf("--for changes nothing: until %v", longer)
	}
	if off := until("--off"); off != nil {
		t.Errorf("until %v", off)
	}
	if anew := until(); anew == nil {
		t.Error("it does not begin")
	}
}
