package report

import (
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/uringproxy/uringproxy/internal/words"
	"github.com/uringproxy/uringproxy/perf/result"
)

// figure writes x with three significant digits, thousands apart; nothing when x is no number.
func figure(x float64) string {
	if !isNumber(x) {
		return ""
	}
	rounded, _ := strconv.ParseFloat(strconv.FormatFloat(x, 'e', 2, 64), 64)
	if !isNumber(rounded) {
		rounded = x // the greatest numbers cannot be rounded up
	}
	a := math.Abs(rounded)
	switch {
	case a == 0:
		return "0"
	case a < 0.001 || a >= 1e12:
		return minus(strconv.FormatFloat(rounded, 'g', 3, 64))
	case a < 1:
		return decimals(rounded, 3)
	case a < 10:
		return decimals(rounded, 2)
	case a < 100:
		return decimals(rounded, 1)
	}
	return decimals(rounded, 0)
}

// known writes a figure that is 0 when nobody measured it.
func known(x float64) string {
	if x == 0 {
		return ""
	}
	return figure(x)
}

// ratio writes a quotient: two decimals are what repeated runs agree on, and a small one has three.
func ratio(x float64) string {
	switch a := math.Abs(x); {
	case !isNumber(x):
		return ""
	case a < 0.0005 || a >= 9.995:
		return figure(x)
	case a < 0.0995:
		return decimals(x, 3)
	}
	return decimals(x, 2)
}

// count writes a number of things, thousands apart.
func count(n int) string { return minus(words.Group(n)) }

func decimals(x float64, n int) string {
	return minus(words.GroupDigits(strconv.FormatFloat(x, 'f', n, 64)))
}

// minus writes the sign as typographers do, so that it is not taken for the dash of a range.
func minus(digits string) string { return strings.Replace(digits, "-", "−", 1) }

// middle writes a spread's median; nothing when it is not known.
func middle(s result.Spread, write func(float64) string) string {
	if !s.Known() {
		return ""
	}
	return write(s.Median)
}

// reach writes a spread's range, "9.71–10.2"; nothing when there is none to speak of.
func reach(s result.Spread, write func(float64) string) string {
	low, high := write(s.Low), write(s.High)
	if s.Count < 2 || low == high {
		return ""
	}
	return low + "–" + high
}

// spread writes median and range, "0.72 (0.69–0.75)".
func spread(s result.Spread, write func(float64) string) string {
	if r := reach(s, write); r != "" && s.Known() {
		return middle(s, write) + " (" + r + ")"
	}
	return middle(s, write)
}

// length writes how long something took, in words.
func length(seconds float64) string {
	d := time.Duration(min(max(number(seconds), 0), 1e9) * float64(time.Second)).Round(time.Second)
	switch {
	case d < 2*time.Minute:
		return strconv.Itoa(int(d.Seconds())) + " s"
	case d < 2*time.Hour:
		return strconv.Itoa(int(d.Round(time.Minute).Minutes())) + " min"
	}
	d = d.Round(time.Minute)
	return strconv.Itoa(int(d.Hours())) + " h " + strconv.Itoa(int(d.Minutes())%60) + " min"
}

// binary writes a number of bytes in units of 1,024.
func binary(bytes int64) string {
	units := []string{"bytes", "KiB", "MiB", "GiB", "TiB"}
	x := float64(bytes)
	for len(units) > 1 && math.Abs(x) >= 1024 {
		x, units = x/1024, units[1:]
	}
	return figure(x) + " " + units[0]
}

// plain is text without what would move a terminal's cursor, change its colours or turn the direction of writing, and
// with single spaces: one line, whoever wrote it.
func plain(text string) string {
	return strings.Join(strings.Fields(words.Printable(text, "", ' ')), " ")
}

// printable is text without control characters, but with its lines and tabs.
func printable(text string) string { return words.Printable(text, "\n\t", words.Dropped) }

// list writes names as a sentence has them: "a, b and c".
func list(names []string) string {
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	return strings.Join(names[:len(names)-1], ", ") + " and " + names[len(names)-1]
}
