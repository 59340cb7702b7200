package bench

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
)

// tiny measures a benchmark at a size that says nothing about speed.
func tiny(t *testing.T, name string) Result {
	t.Helper()
	r, err := Run(t.Context(), name, Options{Records: 40, Diff: 5, Runs: 2, Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// keys are what scripts may rely on, at the size that tiny measures.
var keys = map[string]struct{ median, ratios []string }{
	"verify": {
		[]string{
			"decodeMicros", "parsePerSecond1", "parsePerSecond2", "stdlibPerSecond1", "stdlibPerSecond2",
			"verifyMicros", "voiPerSecond1", "voiPerSecond2",
		},
		[]string{"decodeToVerification", "parseToStdlib2", "parseToVOI1", "parseToVOI2"},
	},
	"store": {
		[]string{"appendPerSecond1", "appendPerSecond1024", "filePerSecond1", "filePerSecond1024"},
		[]string{"appendToFile1", "appendToFile1024"},
	},
	"advance": {
		[]string{
			"advanceMicros20", "advanceMicros40", "ancientMicros20", "ancientMicros40",
			"checkpointMicros20", "checkpointMicros40", "finalMillis", "finalMostMillis",
			"floodMegabytes", "floodPerSecond", "floodRead", "floodRecords", "rollMegabytes5", "rootMicros20", "rootMicros40",
		},
		[]string{"advance40", "ancient40", "checkpoint40", "root40"},
	},
	"sync": {
		[]string{"catchUpPerSecond", "catchUpSeconds", "diffMillis", "joinSeconds", "stdlibPerSecond2", "usableSeconds", "voiPerSecond2"},
		[]string{"catchUpToStdlib2", "catchUpToVOI2"},
	},
	"gossip": {slices.Concat(
		each("default", "Dropped", "Duplicates", "Lost", "Micros", "Overhead", "P50Millis", "P95Millis"),
		each("gossip", "Dropped", "Duplicates", "Lost", "Micros", "Missing", "Overhead", "P50Millis", "P95Millis"),
	), nil},
	"idle": {slices.Concat(
		[]string{"awakeMegabytes1", "awakeMegabytes40", "awakeStores1", "awakeStores40"},
		[]string{"idleMegabytes1", "idleMegabytes40", "idlePercent1", "idlePercent40"},
	), nil},
	"ballot": {
		[]string{
			"approvalGroupPerSecond1", "approvalMakeMillis", "approvalPerSecond1", "approvalRecordBytes", "auditSeconds",
			"oneBodyBytes", "oneGroupPerSecond1", "oneMakeMillis", "onePerSecond1", "onePerSecondAll", "oneRecordBytes", "openSeconds",
			"quadraticGroupPerSecond1", "quadraticMakeMillis", "quadraticPerSecond1", "quadraticRecordBytes",
			"rankingGroupPerSecond1", "rankingMakeMillis", "rankingPerSecond1", "rankingRecordBytes", "schulzeSeconds",
			"scoreGroupPerSecond1", "scoreMakeMillis", "scorePerSecond1", "scoreRecordBytes", "scottishSeconds",
		},
		[]string{"approvalToGroup", "oneScaling", "oneToGroup", "quadraticToGroup", "rankingToGroup", "scoreToGroup"},
	},
	"reconcile": {
		slices.Concat([]string{"buildMillis"}, differing("digestMillis"), []string{"equalBytes"},
			differing("findBytes", "findMillis", "findRounds", "rangesBytes", "rangesMillis", "rangesRounds", "repairBytes")),
		differing("bytesToRanges", "findToBar", "repairToBar", "timeToRanges"),
	},
}

// differing are the keys of figures about the difference that tiny measures.
func differing(names ...string) (keys []string) {
	for _, name := range names {
		keys = append(keys, name+"5")
	}
	return keys
}

// each are the keys of figures taken at both rates of gossip.
func each(side string, names ...string) (keys []string) {
	for _, name := range names {
		keys = append(keys, side+name+"200", side+name+"800")
	}
	return keys
}

// noneIsBest are figures that may be nothing.
var noneIsBest = []string{
	"floodRecords", "floodMegabytes", "gossipLost200", "gossipLost800", "gossipMissing200", "gossipMissing800",
	"gossipDropped200", "gossipDropped800", "defaultLost200", "defaultLost800", "defaultDropped200", "defaultDropped800",
}

func TestShape(t *testing.T) {
	if len(keys) != len(Names()) {
		t.Fatalf("the test knows %d benchmarks, there are %d", len(keys), len(Names()))
	}
	for _, name := range Names() {
		t.Run(name, func(t *testing.T) {
			r := tiny(t, name)
			if r.Name != name || r.Runs != 2 {
				t.Errorf("name %q, %d runs", r.Name, r.Runs)
			}
			want := keys[name]
			if got := sortedKeys(r.Median); !slices.Equal(got, want.median) {
				t.Errorf("figures %q, want %q", got, want.median)
			}
			if got := sortedKeys(r.Ratios); !slices.Equal(got, want.ratios) {
				t.Errorf("ratios %q, want %q", got, want.ratios)
			}
			checkValues(t, r)
		})
	}
}

// checkValues holds every value to what any figure is: positive, unless it is
// best if there is nothing, and between the least and the greatest of its runs.
func checkValues(t *testing.T, r Result) {
	t.Helper()
	if len(r.Rows) != len(r.Median)+len(r.Ratios) || len(r.Range) != len(r.Rows) {
		t.Errorf("%d rows and %d ranges of %d figures and %d ratios", len(r.Rows), len(r.Range), len(r.Median), len(r.Ratios))
	}
	for _, row := range r.Rows {
		mayBeNone := slices.Contains(noneIsBest, row.Key)
		if !(row.Median > 0 || mayBeNone && row.Median == 0) || math.IsInf(row.Median, 0) || row.Least > row.Median || row.Greatest < row.Median {
			t.Errorf("%s is %v, in runs from %v to %v", row.Key, row.Median, row.Least, row.Greatest)
		}
		if row.What == "" || r.Bars[row.Key] != row.Bar {
			t.Errorf("row %+v, bar %q", row, r.Bars[row.Key])
		}
	}
	if m := r.Machine; m.Go == "" || m.OS == "" || m.Arch == "" || m.CPUs < 1 {
		t.Errorf("machine %+v", m)
	}
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	for _, field := range []string{"name", "runs", "median", "ratios", "machine", "range", "bars"} {
		if !strings.Contains(string(b), `"`+field+`":`) {
			t.Errorf("the object has no %q: %s", field, b)
		}
	}
}

func sortedKeys(m map[string]float64) (list []string) {
	for k := range m {
		list = append(list, k)
	}
	slices.Sort(list)
	return list
}

func TestOptionsRefused(t *testing.T) {
	for name, o := range map[string]Options{
		"nothing": {}, "verify": {Records: -1}, "advance": {Records: 3}, "store": {Runs: MaxRuns + 1}, "sync": {Diff: -1},
	} {
		if _, err := Run(t.Context(), name, o); !errors.Is(err, ErrUsage) {
			t.Errorf("%s %+v: %v", name, o, err)
		}
	}
}

func TestEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, name := range []string{"verify", "store", "advance"} {
		if _, err := Run(ctx, name, Options{Records: 40, Dir: t.TempDir()}); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A signature that does not hold must never count as verified.
func TestBoundsVerify(t *testing.T) {
	records, err := strangers(3)
	if err != nil {
		t.Fatal(err)
	}
	list := allClaims(records)
	if len(list) != 3 {
		t.Fatalf("%d signatures of 3 records", len(list))
	}
	list[1].sig = append([]byte{}, list[1].sig...)
	for name, verify := range map[string]func([]claim) error{"voi": byVOI, "identity": byIdentity, "stdlib": byStdlib} {
		if err := verify(list); err != nil {
			t.Errorf("%s refuses good signatures: %v", name, err)
		}
		list[1].sig[40] ^= 1
		if err := verify(list); !errors.Is(err, errForged) {
			t.Errorf("%s takes a forged signature: %v", name, err)
		}
		list[1].sig[40] ^= 1
	}
}

func TestMedian(t *testing.T) {
	for _, x := range []struct {
		want   float64
		values []float64
	}{{2, []float64{3, 1, 2}}, {2.5, []float64{4, 1, 3, 2}}, {7, []float64{7}}} {
		if got := median(x.values); got != x.want {
			t.Errorf("median of %v is %v, want %v", x.values, got, x.want)
		}
	}
}

// A ratio's median is over the ratios of runs, not a ratio of medians.
func TestRatiosAreTakenInRuns(t *testing.T) {
	var r report
	for _, run := range [][2]float64{{10, 20}, {100, 100}, {1, 4}} {
		r.figure("ours", "ours", "", run[0])
		r.figure("bound", "bound", "", run[1])
		r.ratio("share", "ours ÷ bound", "≥ 0.5", run[0]/run[1])
	}
	got := r.result("x", 3)
	if got.Median["ours"] != 10 || got.Median["bound"] != 20 || got.Ratios["share"] != 0.5 || got.Range["share"] != [2]float64{0.25, 1} || got.Bars["share"] != "≥ 0.5" {
		t.Errorf("%+v", got)
	}
}
