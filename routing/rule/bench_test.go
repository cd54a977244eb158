package rule

import "testing"

// typical are rules as most routes have them.
var typical = map[string]string{
	"host":   "Host(`app-12345.example.com`)",
	"prefix": "Host(`app-12345.example.com`) && PathPrefix(`/api/v1`)",
	"tests":  "Host(`app-12345.example.com`) && PathPrefix(`/api/v1`) && Method(`GET`) && Header(`X-Env`, `test`)",
	"or":     "(Host(`a.example.com`) || Host(`b.example.com`)) && (Path(`/x`) || PathPrefix(`/y`) && !Method(`PUT`))",
}

func BenchmarkExpand(b *testing.B) {
	for name, text := range typical {
		e, err := Parse(text)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := e.Expand(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkParse(b *testing.B) {
	for name, text := range typical {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Parse(text); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkMatch(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		host, _, _ := Match(Host, "", "app-12345.example.com")
		path, _, _ := Match(PathPrefix, "", "/api/v1")
		if All(host, path) == nil {
			b.Fatal("nil")
		}
	}
}
