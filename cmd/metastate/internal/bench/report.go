package bench

import (
	"bufio"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"
)

// A Result is what a benchmark found.
type Result struct {
	Name string `json:"name"`
	Runs int    `json:"runs"`
	// Median holds the median of each figure by its key.
	Median map[string]float64 `json:"median"`
	// Ratios holds the median, over the runs, of ratios taken in one run.
	Ratios map[string]float64 `json:"ratios"`
	// Range holds the least and the greatest value of every figure and ratio.
	Range map[string][2]float64 `json:"range"`
	// Bars holds, by a ratio's or a figure's key, what it is meant to be.
	Bars    map[string]string `json:"bars"`
	Machine Machine           `json:"machine"`
	// Rows are the same in the order and the words for people.
	Rows []Row `json:"-"`
}

// A Row is a figure or a ratio.
type Row struct {
	Key, What, Unit string
	Median          float64
	Least, Greatest float64
	Bar             string // what it is meant to be; may be empty
}

// A Machine says where figures come from.
type Machine struct {
	Go    string `json:"go"` // version
	OS    string `json:"os"`
	Arch  string `json:"arch"`
	CPUs  int    `json:"cpus"`
	Model string `json:"model"` // of the processor; empty where unknown
}

// A report collects figures run by run.
type report struct {
	rows   []*series
	ratios []*series
}

type series struct {
	Row
	values []float64
}

// figure adds a run's value of a figure.
func (r *report) figure(key, what, unit string, value float64) {
	add(&r.rows, Row{Key: key, What: what, Unit: unit}, value)
}

// barred is a figure that itself is meant to be something.
func (r *report) barred(key, what, unit, bar string, value float64) {
	add(&r.rows, Row{Key: key, What: what, Unit: unit, Bar: bar}, value)
}

// ratio adds a run's value of a ratio, and says what it is meant to be.
func (r *report) ratio(key, what, bar string, value float64) {
	add(&r.ratios, Row{Key: key, What: what, Bar: bar}, value)
}

func add(list *[]*series, row Row, value float64) {
	i := slices.IndexFunc(*list, func(s *series) bool { return s.Key == row.Key })
	if i < 0 {
		i = len(*list)
		*list = append(*list, &series{Row: row})
	}
	(*list)[i].values = append((*list)[i].values, value)
}

func (r *report) result(name string, runs int) Result {
	out := Result{
		Name: name, Runs: runs, Median: map[string]float64{}, Ratios: map[string]float64{},
		Range: map[string][2]float64{}, Bars: map[string]string{}, Machine: thisMachine(),
	}
	for i, list := range [][]*series{r.rows, r.ratios} {
		into := [...]map[string]float64{out.Median, out.Ratios}[i]
		for _, s := range list {
			s.Median, s.Least, s.Greatest = median(s.values), slices.Min(s.values), slices.Max(s.values)
			into[s.Key] = s.Median
			out.Range[s.Key] = [2]float64{s.Least, s.Greatest}
			if s.Bar != "" {
				out.Bars[s.Key] = s.Bar
			}
			out.Rows = append(out.Rows, s.Row)
		}
	}
	return out
}

// median of at least one value; between the middle two of an even number.
func median(values []float64) float64 {
	s := slices.Sorted(slices.Values(values))
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}

func thisMachine() Machine {
	return Machine{Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH, CPUs: runtime.NumCPU(), Model: processor()}
}

// processor is the processor's name where the system tells it in a file.
func processor() string {
	f, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return ""
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if name, value, ok := strings.Cut(lines.Text(), ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// timed is how long f takes. The garbage of what came before is collected
// first, so that it is not counted.
func timed(f func() error) (time.Duration, error) {
	runtime.GC()
	start := time.Now()
	err := f()
	return max(time.Since(start), time.Nanosecond), err
}

// perSecond is a rate.
func perSecond(n int, d time.Duration) float64 { return float64(n) / d.Seconds() }

func micros(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e3 }
