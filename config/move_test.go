package config

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// TestTablesThatMove: a text whose tables were added, taken out, changed, moved or doubled at several places at once
// gives what it gives by itself, faults included, and the values that are the same stay the same.
func TestTablesThatMove(t *testing.T) {
	for seed := range uint64(500) {
		rnd := rand.New(rand.NewPCG(seed, 3))
		tables := []string{"[services.s]\nendpoints = [\"http://10.0.0.1\"]\n", "[listeners.w]\naddress = \":1\"\n"}
		made := 0
		table := func() string {
			made++
			forms := []string{
				"[routes.r%d]\nservice = \"s\"\nhost = \"h%[1]d.test\"\n",
				"[routes.r%d]\nservice = \"s\" # none\n\n",
				"[routes.r%d]\nservice = \"s\"\nrule = \"\"\"Host(`h%[1]d.test`)\"\"\"\n",
				"  [routes.r%d]\nservice = \"s\"\n  ",
				"[routes.r%d.headers]\nX = true\n[routes.r%[1]d]\nservice = \"s\"\n",
				"[routes.r%d]\nservice = \"none\"\n",
			}
			return fmt.Sprintf(forms[rnd.IntN(len(forms)*4)%len(forms)], made)
		}
		for range rnd.IntN(30) {
			tables = append(tables, table())
		}
		l := NewLoader()
		var before *Config
		var last *source
		for range 4 {
			text := strings.Join(tables, "")
			in := revised{source: newSource("f", text)}
			if before != nil {
				var err error
				if in, err = readChange(strings.NewReader(text), len(text), last, nil); err != nil {
					t.Fatal(err)
				}
			}
			c, faults := l.load("f", []revised{in})
			want, wantFaults := Parse("f", []byte(text))
			same(t, fmt.Sprint("seed ", seed), c, faults, want, wantFaults)
			if c != nil {
				sameValues(t, before, c)
				before, last = c, in.source
			}
			for range 1 + rnd.IntN(5) {
				at := rnd.IntN(len(tables))
				switch rnd.IntN(6) {
				case 0:
					tables = slices.Delete(tables, at, at+1)
				case 1:
					tables = slices.Insert(tables, rnd.IntN(len(tables)+1), tables[at])
				case 2:
					one := tables[at]
					tables = slices.Insert(slices.Delete(tables, at, at+1), rnd.IntN(len(tables)), one)
				case 3:
					tables = append(tables[min(len(tables), rnd.IntN(12)):], table())
				default:
					tables = slices.Insert(tables, at, table())
				}
				if len(tables) == 0 {
					tables = append(tables, table())
				}
			}
		}
	}
}

func sameValues(t *testing.T, before, after *Config) {
	if before == nil {
		return
	}
	for _, r := range after.Routes {
		for _, old := range before.Routes {
			if old.Name == r.Name && old != r && reflect.DeepEqual(old, r) {
				t.Fatalf("route %s was made anew", r.Name)
			}
		}
	}
}
