package expose

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var (
	descriptor = regexp.MustCompile(`^# (HELP|TYPE|UNIT) ([a-z_]+) (.+)$`)
	sampleLine = regexp.MustCompile(`^([a-z_]+)(?:\{(.*)\})? (\S+)$`)
	labelPair  = regexp.MustCompile(`^([a-z_]+)="((?:[^"\\\n]|\\[\\"n])*)"(,|$)`)
	canonical  = regexp.MustCompile(`^(\+Inf|[0-9]+\.[0-9]+|[0-9]+(\.[0-9]+)?e[+-][0-9]+)$`)
)

// suffixes are what the names of a type's samples may end with (OpenMetrics 1.0, section 5).
var suffixes = map[string][]string{
	"counter": {"_total", "_created"}, "gauge": {""},
	"histogram": {"_bucket", "_sum", "_count", "_created"}, "summary": {"", "_sum", "_count", "_created"},
}

// openChecker reads a text as OpenMetrics line by line.
type openChecker struct {
	family, kind string
	seenFamilies map[string]bool
	seenSamples  map[string]bool
	metric       string // labels of the metric whose samples are being read, le and quantile left out
	seenMetrics  map[string]bool
	last         float64 // the count of the bucket before
}

func (c *openChecker) line(line string) error {
	if m := descriptor.FindStringSubmatch(line); m != nil {
		return c.describe(m[1], m[2], m[3])
	}
	m := sampleLine.FindStringSubmatch(line)
	if m == nil {
		return fmt.Errorf("no sample")
	}
	suffix, ok := strings.CutPrefix(m[1], c.family)
	if !ok || !slices.Contains(suffixes[c.kind], suffix) {
		return fmt.Errorf("not of the %s %s", c.kind, c.family)
	}
	v, err := strconv.ParseFloat(m[3], 64)
	if err != nil {
		return err
	}
	labels, bound, err := parseLabels(m[2])
	if err != nil {
		return err
	}
	if c.seenSamples[m[1]+labels+bound] {
		return fmt.Errorf("twice")
	}
	c.seenSamples[m[1]+labels+bound] = true
	if c.kind != "gauge" && v < 0 {
		return fmt.Errorf("negative")
	}
	if labels != c.metric {
		if c.seenMetrics[labels] {
			return fmt.Errorf("interleaved with other metrics")
		}
		c.seenMetrics[labels], c.metric, c.last = true, labels, 0
	}
	if suffix == "_bucket" || suffix == "_count" {
		total := suffix == "_count" && c.kind == "histogram"
		if (suffix == "_bucket") != (bound != "") || v < c.last || total && v != c.last {
			return fmt.Errorf("buckets are not cumulative")
		}
		c.last = v
	}
	return nil
}

func (c *openChecker) describe(what, name, text string) error {
	switch what {
	case "HELP":
		if c.seenFamilies[name] {
			return fmt.Errorf("a second time")
		}
		*c = openChecker{
			family: name, seenFamilies: c.seenFamilies, seenSamples: c.seenSamples, metric: "none yet",
			seenMetrics: map[string]bool{},
		}
		c.seenFamilies[name] = true
		if strings.Contains(strings.NewReplacer(`\\`, "", `\"`, "", `\n`, "").Replace(text), `\`) {
			return fmt.Errorf("a wrong escape")
		}
	case "TYPE":
		c.kind = text
		if suffixes[text] == nil || strings.HasSuffix(name, "_total") {
			return fmt.Errorf("type or name")
		}
	case "UNIT":
		if !strings.HasSuffix(name, "_"+text) {
			return fmt.Errorf("the name does not end with the unit")
		}
	}
	if name != c.family {
		return fmt.Errorf("among the lines of %s", c.family)
	}
	return nil
}

// parseLabels returns what identifies the metric, and the bound or quantile of the sample.
func parseLabels(text string) (labels, bound string, err error) {
	for text != "" {
		m := labelPair.FindStringSubmatch(text)
		if m == nil {
			return "", "", fmt.Errorf("labels %s", text)
		}
		text = text[len(m[0]):]
		if m[1] != "le" && m[1] != "quantile" {
			labels += m[0]
			continue
		}
		if bound = m[2]; !canonical.MatchString(bound) {
			return "", "", fmt.Errorf("%s is not canonical", bound)
		}
	}
	return strings.TrimSuffix(labels, ","), bound, nil
}

func TestOpenMetricsSyntax(t *testing.T) {
	text := written(t, example(), true)
	body, ok := strings.CutSuffix(text, "\n# EOF\n")
	if !ok {
		t.Fatal("it does not end with # EOF")
	}
	c := openChecker{seenFamilies: map[string]bool{}, seenSamples: map[string]bool{}}
	for line := range strings.SplitSeq(body, "\n") {
		if err := c.line(line); err != nil {
			t.Errorf("%v: %s", err, line)
		}
	}
	if len(c.seenFamilies) != len(families) {
		t.Errorf("%d families, want %d", len(c.seenFamilies), len(families))
	}
	for _, want := range []string{
		"# TYPE uringproxy_requests counter\n", "# UNIT uringproxy_client_sent_bytes bytes\n",
		"# UNIT uringproxy_process_cpu_seconds seconds\n",
		"\nuringproxy_route_requests_created{route=\"all\",code=\"2xx\"} 1700000000.000\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q", want)
		}
	}
}

func TestOpenCheckerFindsFaults(t *testing.T) {
	for _, text := range []string{
		"# HELP a_total x\n# TYPE a_total counter",
		"# HELP a x\n# TYPE a counter\na 1",
		"# HELP a x\n# TYPE a counter\na_total -1",
		"# HELP a x\n# TYPE a gauge\na{l=\"\\x\"} 1",
		"# HELP a x\n# TYPE a gauge\na 1\na 1",
		"# HELP a x\n# TYPE a gauge\n# UNIT a seconds",
		"# HELP a x\n# TYPE a histogram\na_bucket{le=\"1\"} 1",
		"# HELP a x\n# TYPE a histogram\na_bucket{le=\"1.0\"} 2\na_bucket{le=\"+Inf\"} 1",
		"# HELP a x\n# TYPE a histogram\na_bucket{le=\"+Inf\"} 1\na_count 2",
		"# HELP a x\n# TYPE a counter\na_total{l=\"1\"} 1\na_total{l=\"2\"} 1\na_created{l=\"1\"} 1",
	} {
		c := openChecker{seenFamilies: map[string]bool{}, seenSamples: map[string]bool{}}
		found := false
		for line := range strings.SplitSeq(text, "\n") {
			found = c.line(line) != nil || found
		}
		if !found {
			t.Errorf("no fault found in\n%s", text)
		}
	}
}
