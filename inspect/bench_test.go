package inspect

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/uringproxy/uringproxy/config"
)

// shapes are families of configurations of any size.
var shapes = map[string]func(i int) string{
	"hosts":    func(i int) string { return fmt.Sprintf("host = \"h%d.example.com\"\n", i) },
	"prefixes": func(i int) string { return fmt.Sprintf("path_prefix = \"/tenant-%d/api\"\n", i) },
	"deep": func(i int) string {
		return fmt.Sprintf("path_prefix = \"%s/%d\"\n", strings.Repeat("/a", i%100), i)
	},
	"headers":    func(i int) string { return fmt.Sprintf("headers = { X-Tenant = \"t%d\" }\nmethods = \"GET\"\n", i) },
	"names":      func(i int) string { return fmt.Sprintf("headers = { X-Tenant-%d = \"1\" }\n", i) },
	"negations":  func(i int) string { return fmt.Sprintf("rule = '!Header(`X`, `%d`)'\n", i) },
	"networks":   func(i int) string { return fmt.Sprintf("client_ip = \"10.%d.%d.%d\"\n", i>>16, i>>8&255, i&255) },
	"regexps":    func(i int) string { return fmt.Sprintf("path_regexp = '^/svc-%d/[a-z]+/[0-9]+$'\n", i) },
	"duplicates": func(int) string { return "host = \"example.com\"\n" },
	"lists":      func(i int) string { return fmt.Sprintf("host = [\"a%d.com\", \"b%d.com\", \"c.com\"]\n", i, i) },
	"priorities": func(i int) string { return fmt.Sprintf("headers = { X = \"%d\" }\npriority = %d\n", i, i%1000) },
}

// build makes a configuration of n routes of a shape.
func build(tb testing.TB, shape string, n int) *config.Config {
	var b strings.Builder
	b.WriteString("[listeners.web]\naddress = \":8080\"\n[services.app]\nendpoints = \"http://10.0.0.1\"\n")
	for i := range n {
		fmt.Fprintf(&b, "[routes.r%06d]\nservice = \"app\"\n%s", i, shapes[shape](i))
	}
	c, faults := config.Parse("my.toml", []byte(b.String()))
	if len(faults) > 0 {
		tb.Fatal(faults)
	}
	return c
}

func BenchmarkCheck(b *testing.B) {
	for shape := range shapes {
		for _, n := range []int{1000, 10_000, 100_000} {
			if testing.Short() && n > 1000 {
				continue
			}
			b.Run(fmt.Sprintf("%s/%d", shape, n), func(b *testing.B) {
				c := build(b, shape, n)
				for b.Loop() {
					Check(context.Background(), c, Options{})
				}
			})
		}
	}
}

func BenchmarkExplain(b *testing.B) {
	n := 100_000
	if testing.Short() {
		n = 1000
	}
	c := build(b, "prefixes", n)
	for b.Loop() {
		if _, err := Explain(c, &Question{URL: fmt.Sprintf("http://example.com/tenant-%d/api/x", n/2)}); err != nil {
			b.Fatal(err)
		}
	}
}
