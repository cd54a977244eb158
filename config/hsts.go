package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/uringproxy/uringproxy/internal/words"
)

// Bounds of Strict-Transport-Security: what the preload lists of browsers ask for, and what is as good as for ever.
const (
	preloadAge = 365 * 24 * time.Hour
	maxAge     = 10 * preloadAge

	// maxHSTS is the longest value in bytes. What has a meaning is shorter, and every response has room for it.
	maxHSTS = 256
)

// hsts reads hsts: the field's value, or a table.
func (d *decoder) hsts(t *table, l *Listener, speaksTLS bool) {
	const key, expected = "hsts", `"max-age=31536000; includeSubDomains", or a table such as { max_age = "8760h" }`
	if t.shape != nil {
		t.shape.add(key, "Strict-Transport-Security in all responses: its value, or a table; empty: none", &Schema{
			Default: "", AnyOf: []*Schema{{Type: "string"}, describeTable(func(t *table) { d.hstsTable(t) })},
		})
	}
	raw, ok := t.get(key)
	if !ok {
		return
	}
	switch v := raw.(type) {
	case string:
		if l.HSTS = v; v != "" {
			d.hstsValue(t.child(key), v)
		}
	case map[string]any:
		l.HSTS = d.hstsTable(newTable(d, t.child(key), "", v))
	default:
		d.at(t.child(key), describe(raw), expected, "")
	}
	if l.HSTS != "" && !speaksTLS {
		d.atKey(t.child(key), "hsts on a plain listener", "a listener with tls",
			"browsers ignore it there (RFC 6797, section 8.1)")
	}
}

func (d *decoder) hstsTable(t *table) string {
	age, sub, preload := preloadAge, false, false
	t.duration("max_age", "how long browsers use nothing but https", &age, 0, maxAge)
	t.flag("include_subdomains", "for all names below as well", &sub)
	t.flag("preload", "agree to be on the lists that browsers come with, which is hard to undo", &preload)
	t.done()
	if preload && (!sub || age < preloadAge) {
		d.at(t.child("preload"), "preload without what the lists ask for",
			fmt.Sprintf("include_subdomains = true and a max_age of at least %q", formatDuration(preloadAge)), "")
	}
	value := fmt.Sprintf("max-age=%d", int64(age.Seconds()))
	if sub {
		value += "; includeSubDomains"
	}
	if preload {
		value += "; preload"
	}
	return value
}

// hstsValue checks a value that is written out (RFC 6797, section 6.1).
func (d *decoder) hstsValue(path, value string) {
	if strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r > '~' }) {
		d.at(path, quote(value), "printable ASCII", "")
		return
	}
	if len(value) > maxHSTS {
		d.at(path, words.Count(len(value), "byte"), fmt.Sprintf("at most %d", maxHSTS), "")
		return
	}
	known := []string{"max-age", "includeSubDomains", "preload"}
	var seen []string
	for directive := range strings.SplitSeq(value, ";") {
		name, arg, hasArg := strings.Cut(strings.TrimSpace(directive), "=")
		i := slices.IndexFunc(known, func(k string) bool { return strings.EqualFold(k, strings.TrimSpace(name)) })
		switch {
		case strings.TrimSpace(directive) == "":
			continue
		case i < 0:
			d.at(path, "the directive "+quote(name), oneOf(known), d.meant(name, known))
			return
		case slices.Contains(seen, known[i]):
			d.at(path, known[i]+" for the second time", "each directive once", "")
			return
		case i == 0 && !seconds(strings.TrimSpace(arg)):
			d.at(path, "max-age without a number of seconds", `such as "max-age=31536000"`, "")
			return
		case i > 0 && hasArg:
			d.at(path, known[i]+" with a value", known[i]+" alone", "")
			return
		}
		seen = append(seen, known[i])
	}
	if !slices.Contains(seen, known[0]) {
		d.at(path, "no max-age", `such as "max-age=31536000"`, "")
	}
}

// seconds tells whether s is a number, be it in quotes.
func seconds(s string) bool {
	if n := len(s); n > 2 && s[0] == '"' && s[n-1] == '"' {
		s = s[1 : n-1]
	}
	_, err := strconv.ParseUint(s, 10, 63)
	return err == nil
}
