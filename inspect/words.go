package inspect

import (
	"fmt"
	"strings"

	"github.com/uringproxy/uringproxy/internal/words"
	"github.com/uringproxy/uringproxy/routing"
	"github.com/uringproxy/uringproxy/routing/rule"
)

// decision says what made a go before b.
func (of family) decision(a, b *routing.Judgement, by routing.Edge) string {
	x, y := &a.Alternative, &b.Alternative
	switch by {
	case routing.ByPriority:
		return fmt.Sprintf("priority: %d over %d", a.Route.Priority, b.Route.Priority)
	case routing.ByHost:
		name := "host"
		if of != ofRequests {
			name = "server name"
		}
		return name + ": " + hostWords(&x.Host) + " over " + hostWords(&y.Host)
	case routing.ByPath:
		return "path: " + pathWords(&x.Path) + " over " + pathWords(&y.Path)
	case routing.ByPredicates:
		return fmt.Sprintf("further conditions: %d over %d", len(x.Tests), len(y.Tests))
	}
	return fmt.Sprintf("name: %q before %q", a.Route.Name, b.Route.Name)
}

// edgeName is the word for an edge in JSON.
func edgeName(by routing.Edge) string {
	return [...]string{
		routing.ByPriority: "priority", routing.ByHost: "host", routing.ByPath: "path",
		routing.ByPredicates: "conditions", routing.ByName: "name",
	}[by]
}

// hostWords says how specific a host condition is.
func hostWords(p *rule.Predicate) string {
	switch p.Kind {
	case rule.None:
		return "none"
	case rule.HostRegexp:
		return "an expression"
	}
	stars, rest, _ := strings.Cut(p.Values[0], ".")
	if stars != "*" && stars != "**" {
		return "exact"
	}
	return fmt.Sprintf("%s. before %s", stars, words.GroupedCount(1+strings.Count(rest, "."), "label"))
}

// pathWords says how specific a path condition is.
func pathWords(p *rule.Predicate) string {
	switch p.Kind {
	case rule.None:
		return "none"
	case rule.PathRegexp:
		return "an expression"
	case rule.PathPrefix:
		return fmt.Sprintf("a prefix of %s", words.GroupedCount(len(p.Values[0]), "byte"))
	case rule.PathPrefixRaw:
		return fmt.Sprintf("a raw prefix of %s", words.GroupedCount(len(p.Values[0]), "byte"))
	}
	return "exact"
}
