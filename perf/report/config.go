package report

import (
	"regexp"
	"strings"

	"github.com/uringproxy/uringproxy/perf/result"
)

// A page shows so many lines of a configuration, from its beginning and its end: one with 10,000 routes is as long as a
// book, and one line in it like the other.
const (
	configHead = 120
	configTail = 20
	configLine = 400 // columns
)

// config is a configuration, and where it was used.
type config struct {
	Peer, Scenarios, Text string
	key                   string
}

// configsOf are the configurations of a run by peer. One that several scenarios have is there once, also when it was in
// another folder or had another port.
func configsOf(r *result.Run) []config {
	var all []config
	for _, p := range participants(r) {
		first := len(all)
		for _, s := range r.Scenarios {
			for _, c := range s.Cells {
				if c.Peer != p.Name || strings.TrimSpace(c.Config) == "" {
					continue
				}
				all = addConfig(all, first, config{called(p), plain(s.Name), abridged(c.Config), key(c.Config, s.Name)})
			}
		}
	}
	return all
}

// addConfig adds c, or its scenario to the one from first on that is the same.
func addConfig(all []config, first int, c config) []config {
	for i := first; i < len(all); i++ {
		if all[i].key == c.key {
			if !strings.HasSuffix(", "+all[i].Scenarios, ", "+c.Scenarios) {
				all[i].Scenarios += ", " + c.Scenarios
			}
			return all
		}
	}
	return append(all, c)
}

// port is what a proxy listens on or connects to in a benchmark.
var port = regexp.MustCompile(`127\.0\.0\.1:\d+`)

// key is a configuration without what is another in every scenario: the ports, and the scenario's folder.
func key(text, scenario string) string {
	return port.ReplaceAllString(strings.ReplaceAll(text, "/"+scenario+"/", "/"), "127.0.0.1")
}

// abridged is a configuration without its middle when it is long.
func abridged(text string) string {
	lines := strings.Split(strings.TrimRight(printable(text), "\n"), "\n")
	if left := len(lines) - configHead - configTail; left > 1 {
		tail := lines[len(lines)-configTail:]
		lines = append(lines[:configHead:configHead], "… "+count(left)+" lines are left out here …")
		lines = append(lines, tail...)
	}
	for i, line := range lines {
		if runes := []rune(line); len(runes) > configLine {
			lines[i] = string(runes[:configLine]) + " …"
		}
	}
	return strings.Join(lines, "\n") + "\n"
}
