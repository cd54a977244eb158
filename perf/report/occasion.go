package report

import (
	"strconv"
	"strings"

	"github.com/uringproxy/uringproxy/perf/result"
)

// occasion says when and for how long a run was, and on request of which version.
func occasion(r *result.Run, version bool) string {
	var parts []string
	if v := plain(r.Version); version && v != "" {
		parts = append(parts, "version "+v)
	}
	if !r.Started.IsZero() {
		parts = append(parts, r.Started.UTC().Format("2006-01-02 15:04")+" UTC")
	}
	if r.Seconds > 0 {
		parts = append(parts, length(r.Seconds))
	}
	return strings.Join(parts, ", ")
}

// machineLine says in a line where a run was.
func machineLine(m *result.Machine) string {
	var parts []string
	add := func(text, value string) {
		if value = plain(value); value != "" {
			parts = append(parts, text+value)
		}
	}
	add("", m.Processor)
	if m.Cores > 0 {
		add("", cores(m.Cores))
	}
	if m.Memory > 0 {
		add("", binary(m.Memory))
	}
	add("", virtual(m))
	add("Linux ", strings.TrimPrefix(plain(m.Kernel), "Linux "))
	if m.Cores > 0 {
		add("", placement(m))
	}
	return strings.Join(parts, ", ")
}

// virtual names the hypervisor where one is known; nothing on real hardware.
func virtual(m *result.Machine) string {
	switch name := plain(m.Virtual); name {
	case "":
		return ""
	case "virtual":
		return "virtual machine"
	default:
		return "virtual machine (" + name + ")"
	}
}

func cores(n int) string {
	if n == 1 {
		return "1 core"
	}
	return count(n) + " cores"
}

// placement says which cores did what.
func placement(m *result.Machine) string {
	if m.ProxyCore == m.LoadCore {
		return "proxy and load on the same core " + strconv.Itoa(m.ProxyCore)
	}
	return "proxy on core " + strconv.Itoa(m.ProxyCore) + ", load on core " + strconv.Itoa(m.LoadCore)
}
