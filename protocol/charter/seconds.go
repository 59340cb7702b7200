package charter

import (
	"errors"
	"strconv"
)

// units of durations in YAML, the largest first.
var units = [...]struct {
	letter  byte
	seconds int64
}{{'w', week}, {'d', day}, {'h', hour}, {'m', minute}, {'s', 1}}

// maxSeconds bounds what parseSeconds reads, far above every limit of
// Validate and far below an overflow.
const maxSeconds = 1 << 40

var errSeconds = errors.New(`not a duration: write 0, or a number with a unit: "30d", "72h", "1d12h" (w, d, h, m, s)`)

// parseSeconds reads "0", "72h", "30d" or "1d12h": whole numbers with units,
// each unit at most once, the larger before the smaller.
func parseSeconds(s string) (int64, error) {
	if s == "0" {
		return 0, nil
	}
	var sum int64
	if s == "" {
		return 0, errSeconds
	}
	for next := 0; s != ""; {
		i := 0
		for i < len(s) && s[i] >= '0' && s[i] <= '9' {
			i++
		}
		n, err := parseUint(s[:i])
		if err != nil || n > maxSeconds || i == len(s) {
			return 0, errSeconds
		}
		for next < len(units) && units[next].letter != s[i] {
			next++
		}
		if next == len(units) || int64(n) > (maxSeconds-sum)/units[next].seconds {
			return 0, errSeconds
		}
		sum += int64(n) * units[next].seconds
		next++
		s = s[i+1:]
	}
	return sum, nil
}

// formatSeconds writes n ≥ 0 with the largest unit up to days that divides it,
// except that whole days up to three are written in hours, as people say them.
func formatSeconds(n int64) string {
	if n == 0 {
		return "0"
	}
	u := units[len(units)-1]
	for _, v := range units[1:] { // not weeks: terms and periods are counted in days
		if n%v.seconds == 0 {
			u = v
			break
		}
	}
	if u.letter == 'd' && n <= 3*day {
		u = units[2]
	}
	return strconv.FormatInt(n/u.seconds, 10) + string(u.letter)
}
