package routing

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"github.com/uringproxy/uringproxy/routing/rule"
)

// crowdRule is one of few that all stand at one place, some of them in an index there.
func crowdRule(t *testing.T, rnd *rand.Rand) *rule.Expr {
	e, err := rule.Parse([]string{
		"!Header(`A`, `1`)", "!Header(`A`, `1`) || !Header(`A`, `2`) && !Header(`B`)", "Header(`A`, `1`)",
		"Header(`A`, `1`) && !Header(`B`)", "Header(`B`)", "HeaderRegexp(`A`, `[13]`)", "PathRegexp(`a`)",
		"PathPrefix(`/`)", "DestinationPort(`1`)", "DestinationPort(`1`, `3`) && Header(`A`, `1`)",
		"DestinationPort(`2-3`) && ClientIP(`10.0.0.0/8`)",
	}[rnd.IntN(11)])
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// TestCrowdsComeAndGo: where very many alternatives stand at one place, tables follow changes too, whether they come
// and go one by one or all at once, and what is taken away leaves nothing behind.
func TestCrowdsComeAndGo(t *testing.T) {
	rnd := rand.New(rand.NewPCG(11, 12))
	b := NewBuilder()
	now := map[string]Route{}
	var tables []*Table
	var answers [][]int
	for edit := range 200 {
		most := []int{3, 20, 400}[rnd.IntN(3)]
		for range rnd.IntN(most) {
			name := fmt.Sprint("r", rnd.IntN(150))
			r := Route{Name: name, Priority: rnd.IntN(3), Rule: crowdRule(t, rnd), Target: edit}
			if rnd.IntN(2) == 0 {
				delete(now, name)
				b.Delete(name)
			} else if now[name] = r; b.Set(r) != nil {
				t.Fatal("not set")
			}
		}
		if rnd.IntN(20) == 0 {
			for name := range now {
				b.Delete(name)
			}
			clear(now)
		}
		got, err := b.Build()
		if err != nil {
			t.Fatal(err)
		}
		want, err := Compile(slices.Collect(maps.Values(now)))
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(crowdAnswers(got), crowdAnswers(want)) {
			t.Fatalf("edit %d: %v, want %v", edit, crowdAnswers(got), crowdAnswers(want))
		}
		if len(now) == 0 && (got.any != nil || got.needs != 0) {
			t.Fatalf("edit %d: something is left of nothing", edit)
		}
		if s := got.any; s != nil && (s.root.dead > 0 || s.root.noted || !slices.IsSortedFunc(s.root.alts,
			func(x, y alternative) int { return x.compare(&y) })) {
			t.Fatalf("edit %d: not settled", edit)
		}
		tables, answers = append(tables, got), append(answers, crowdAnswers(got))
	}
	for i, table := range tables {
		if !slices.Equal(crowdAnswers(table), answers[i]) {
			t.Fatalf("the table of edit %d has changed", i)
		}
	}
}

func crowdAnswers(table *Table) (all []int) {
	for _, fields := range [][]Field{
		nil,
		{{[]byte("a"), []byte("1")}},
		{{[]byte("a"), []byte("2")}},
		{{[]byte("a"), []byte("3")}, {[]byte("b"), nil}},
		{{[]byte("a"), []byte("1")}, {[]byte("b"), nil}},
	} {
		for _, path := range []string{"/", "/a"} {
			for port := range uint16(4) {
				all = append(all, table.Match(&Request{Path: []byte(path), Fields: fields, Port: port,
					Client: netip.AddrFrom4([4]byte{10, 0, 0, 1})}))
			}
		}
	}
	return all
}
