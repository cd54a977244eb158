package main

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/uringproxy/uringproxy/internal/words"
)

// brief is a time span in three digits at most, as "812µs": a column of them is read at a glance.
func brief(seconds float64) string {
	for _, unit := range []struct {
		size float64
		name string
	}{{1, "s"}, {1e-3, "ms"}, {1e-6, "µs"}} {
		if seconds >= 0.9995*unit.size {
			return digits(seconds/unit.size) + unit.name
		}
	}
	if seconds <= 0 {
		return "0"
	}
	return digits(seconds*1e9) + "ns"
}

// digits is a number with three digits, or as many as stand before its point.
func digits(v float64) string {
	switch {
	case v >= 99.95:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case v >= 9.995:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return strconv.FormatFloat(v, 'f', 2, 64)
}

// thousands is a whole number in groups of three digits.
func thousands(v float64) string {
	return words.GroupDigits(strconv.FormatFloat(math.Round(v), 'f', 0, 64))
}

// rate is a number in a second: whole, but for small ones.
func rate(v float64) string {
	if v > 0 && v < 9.995 {
		return digits(v)
	}
	return thousands(v)
}

// size is an amount of memory or data.
func size(bytes int64) string {
	v, unit := float64(bytes), 0
	for v >= 1023.5 && unit < 4 {
		v, unit = v/1024, unit+1
	}
	if unit == 0 {
		return strconv.FormatInt(bytes, 10) + "B"
	}
	return digits(v) + []string{"", "KiB", "MiB", "GiB", "TiB"}[unit]
}

// ratio is a by b, or a dash where there is nothing to divide by.
func ratio[T uint64 | float64](a, b T) string {
	if b == 0 {
		return "-"
	}
	return digits(float64(a) / float64(b))
}

// ago is how long something has lasted, in its two largest units.
func ago(seconds float64) string {
	d := time.Duration(seconds * float64(time.Second)).Round(time.Second)
	days, hours, minutes := int(d.Hours())/24, int(d.Hours())%24, int(d.Minutes())%60
	switch {
	case days > 0:
		return fmt.Sprintf("%dd%dh", days, hours)
	case hours > 0:
		return fmt.Sprintf("%dh%dm", hours, minutes)
	case minutes > 0:
		return fmt.Sprintf("%dm%ds", minutes, int(d.Seconds())%60)
	}
	return fmt.Sprintf("%ds", int(d.Seconds()))
}
