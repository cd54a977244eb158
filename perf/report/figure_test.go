package report

import (
	"bytes"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/uringproxy/uringproxy/perf/result"
)

func TestFigure(t *testing.T) {
	for _, c := range []struct {
		x             float64
		figure, ratio string
	}{
		{0, "0", "0"}, {.00049, "0.00049", "0.00049"}, {.0061, "0.006", "0.006"}, {.0994, "0.099", "0.099"},
		{.0995, "0.100", "0.10"}, {.72, "0.720", "0.72"}, {.9996, "1.00", "1.00"}, {9.996, "10.0", "10.0"},
		{13.25, "13.2", "13.2"}, {99.97, "100", "100"}, {98412, "98,400", "98,400"},
		{1234567, "1,230,000", "1,230,000"},
		{1.5e18, "1.5e+18", "1.5e+18"}, {math.MaxFloat64, "1.8e+308", "1.8e+308"}, {-13.25, "−13.2", "−13.2"},
		{math.NaN(), "", ""}, {math.Inf(-1), "", ""},
	} {
		if got := figure(c.x); got != c.figure {
			t.Errorf("figure(%v) = %q, want %q", c.x, got, c.figure)
		}
		if got := ratio(c.x); got != c.ratio {
			t.Errorf("ratio(%v) = %q, want %q", c.x, got, c.ratio)
		}
	}
}

func TestSpread(t *testing.T) {
	for want, s := range map[string]result.Spread{
		"":                 {Median: 4},
		"0.72":             {Median: .72, Low: .72, High: .72, Count: 1},
		"0.72 (0.69–0.75)": {Median: .72, Low: .69, High: .75, Count: 7},
		"0.12":             {Median: .12, Low: .1199, High: .1201, Count: 7},
	} {
		if got := spread(s, ratio); got != want {
			t.Errorf("spread(%v) = %q, want %q", s, got, want)
		}
	}
}

func TestLength(t *testing.T) {
	for seconds, want := range map[float64]string{
		0: "0 s", 59.6: "60 s", 119: "119 s", 120: "2 min", 2471: "41 min", 7200: "2 h 0 min", 9000: "2 h 30 min",
		-1: "0 s",
	} {
		if got := length(seconds); got != want {
			t.Errorf("length(%v) = %q, want %q", seconds, got, want)
		}
	}
}

func TestReadReadsWhatWasWritten(t *testing.T) {
	r := sample(t)
	var b bytes.Buffer
	if err := JSON(&b, r); err != nil {
		t.Fatal(err)
	}
	again, err := Read(&b)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(r, again) {
		t.Error("what is read is not what was written")
	}
}

func TestShowingChangesNothing(t *testing.T) {
	r, same := sample(t), sample(t)
	r.Scenarios[0].Cells[0].Cost.Low = math.Inf(1)
	show(t, r)
	if !math.IsInf(r.Scenarios[0].Cells[0].Cost.Low, 1) {
		t.Error("the figure that is none was changed")
	}
	r.Scenarios[0].Cells[0].Cost.Low = same.Scenarios[0].Cells[0].Cost.Low
	if !reflect.DeepEqual(r, same) {
		t.Error("the run was changed")
	}
}

func TestReadIsBounded(t *testing.T) {
	text := `{"version":"1"}`
	for limit, fits := range map[int64]bool{int64(len(text)): true, int64(len(text)) - 1: false, 5: false} {
		if _, err := read(strings.NewReader(text), limit); (err == nil) != fits {
			t.Errorf("%d bytes of %d: error %v", limit, len(text), err)
		}
	}
	_, err := read(strings.NewReader(text), 5)
	if err == nil || !strings.Contains(err.Error(), "longer than 5.00 bytes") {
		t.Errorf("error %v", err)
	}
}

func TestReadRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"":                           "uringproxy bench --json",
		"<html>":                     "uringproxy bench --json",
		"{}":                         "no version, no peers and no scenarios",
		`{"version":"1"} {}`:         "more after the end",
		`{"version":"1"`:             "unexpected EOF",
		`{"version":1}`:              "version",
		`{"peers":"nginx"}`:          "peers",
		`{"version":"1"}{"version":`: "more after the end",
	} {
		if _, err := Read(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Read(%q): error %v, want one with %q", text, err, want)
		}
	}
}
