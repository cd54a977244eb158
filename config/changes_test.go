package config

import "strings"

// Changes says how a configuration differs from another one.
type Changes struct {
	Listeners, Routes, Streams, Services Names
	// Settings tells that something beside those differs.
	Settings bool
}

// Names are what differs in a group of named tables, each list in order.
type Names struct{ Added, Removed, Changed []string }

// Any tells whether there is a difference.
func (n *Names) Any() bool { return len(n.Added)+len(n.Removed)+len(n.Changed) > 0 }

// Any tells whether there is a difference.
func (c *Changes) Any() bool {
	return c.Settings || c.Listeners.Any() || c.Routes.Any() || c.Streams.Any() || c.Services.Any()
}

// Changes tells how c differs from last. Between two results of one Loader it compares little more than pointers; what
// came from different loaders is all different.
func (c *Config) Changes(last *Config) Changes {
	return Changes{
		Listeners: compare(last.Listeners, c.Listeners, func(l *Listener) string { return l.Name }),
		Routes:    compare(last.Routes, c.Routes, func(r *Route) string { return r.Name }),
		Streams:   compare(last.Streams, c.Streams, func(r *StreamRoute) string { return r.Name }),
		Services:  compare(last.Services, c.Services, func(s *Service) string { return s.Name }),
		Settings: c.Engine != last.Engine || c.LogLevel != last.LogLevel || c.AccessLog != last.AccessLog ||
			c.Limits != last.Limits || c.Timeouts != last.Timeouts || c.Forward != last.Forward ||
			c.Paths != last.Paths || c.Admin != last.Admin || c.Reload != last.Reload ||
			c.Handshakes != last.Handshakes,
	}
}

// compare walks two lists in the order of their names.
func compare[T any](last, next []*T, name func(*T) string) (n Names) {
	if len(last) > 0 && len(last) == len(next) && &last[0] == &next[0] {
		return n
	}
	for len(last) > 0 && len(next) > 0 {
		if last[0] == next[0] {
			last, next = last[1:], next[1:]
			continue
		}
		switch was, is := name(last[0]), name(next[0]); strings.Compare(was, is) {
		case -1:
			n.Removed, last = append(n.Removed, was), last[1:]
		case 1:
			n.Added, next = append(n.Added, is), next[1:]
		default:
			n.Changed, last, next = append(n.Changed, is), last[1:], next[1:]
		}
	}
	for _, x := range last {
		n.Removed = append(n.Removed, name(x))
	}
	for _, x := range next {
		n.Added = append(n.Added, name(x))
	}
	return n
}
