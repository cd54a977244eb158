package bench

import (
	"fmt"
	"strings"
)

// Places in configurations that are only shown.
const (
	exampleDir  = "/tmp/bench"
	examplePort = 8080
)

// exampleServices are all upstreams, at ports from one on.
func exampleServices(port int) (all []service) {
	for i, u := range upstreams {
		all = append(all, service{u.Name, port + i})
	}
	return all
}

// ShowConfigs tells the configurations of all proxies that the options choose, each once, with the scenarios in which
// it is used. Only the ports will differ, and the folder.
func ShowConfigs(o Options) (string, error) {
	b, err := newBench(o)
	if err != nil {
		return "", err
	}
	chosen, err := choose(b.o.Scenarios)
	if err != nil {
		return "", err
	}
	var out strings.Builder
	for i := range b.entrants {
		k := &b.entrants[i].kind
		users := map[string][]string{}
		var texts []string
		for _, s := range chosen {
			a := s.about()
			if a.changing && !k.changes || k.cannot[a.wire] != "" {
				continue
			}
			site := newSite(a, &b.o)
			site.Dir, site.Port = exampleDir, examplePort
			site.Services = servicesFor(a.wire, exampleServices(examplePort+1))
			text, err := k.text(site)
			if err != nil {
				return "", err
			}
			if users[text] == nil {
				texts = append(texts, text)
			}
			users[text] = append(users[text], a.name)
		}
		for _, text := range texts {
			fmt.Fprintf(&out, "==== %s: %s\n\n%s\n", k.name, strings.Join(users[text], ", "), text)
		}
	}
	return out.String(), nil
}
