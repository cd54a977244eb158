package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/uringproxy/uringproxy/internal/suggest"
)

// decoder collects the faults of one file.
type decoder struct {
	src    *source
	places index
	faults Faults

	compared int // words, in the search for similar ones
}

// at notes a fault at the value of path, atKey at its name.
func (d *decoder) at(path, found, expected, hint string) {
	p, ok := d.places.find(path)
	if !ok {
		p.value = -1
	}
	d.faults = append(d.faults, d.src.fault(p.value, path, found, expected, hint))
}

func (d *decoder) atKey(path, found, expected, hint string) {
	p, ok := d.places.find(path)
	if !ok {
		p.key = -1
	}
	d.faults = append(d.faults, d.src.fault(p.key, path, found, expected, hint))
}

// maxCompared bounds the search for similar words: in a file with thousands of faults and names nobody misses the last
// suggestions, and each costs a comparison with every known name.
const maxCompared = 500_000

// meant is the hint for a word that is not among the known ones.
func (d *decoder) meant(word string, known []string) string {
	if d.compared += len(known); d.compared > maxCompared {
		return ""
	}
	if near := suggest.Nearest(word, known); near != "" {
		return "did you mean " + strconv.Quote(near) + "?"
	}
	return ""
}

// table reads one table. Each reader below takes one key: it leaves *to alone when the key is absent or faulty. What
// no reader has asked for when done is called is unknown.
type table struct {
	d     *decoder
	path  string
	name  string // the last part of path, for named tables
	m     map[string]any
	known []string
}

func (t *table) get(key string) (any, bool) {
	t.known = append(t.known, key)
	v, ok := t.m[key]
	return v, ok
}

func (t *table) child(key string) string { return child(t.path, key) }

// done notes every key that nobody asked for.
func (t *table) done() {
	slices.Sort(t.known)
	for _, key := range keys(t.m) {
		if slices.Contains(t.known, key) {
			continue
		}
		path := t.child(key)
		if why, ok := unsupported(path); ok {
			t.d.atKey(path, "a key that this version does not support yet", oneOf(t.known), why)
			continue
		}
		t.d.atKey(path, "an unknown key", oneOf(t.known), t.d.meant(key, t.known))
	}
}

// keys are the keys of m in order.
func keys(m map[string]any) []string {
	all := make([]string, 0, len(m))
	for k := range m {
		all = append(all, k)
	}
	slices.Sort(all)
	return all
}

// sub is the table under key, empty when absent.
func (t *table) sub(key string) *table {
	s := &table{d: t.d, path: t.child(key)}
	if raw, ok := t.get(key); ok {
		s.m = t.d.table(s.path, raw, "a table, ["+s.path+"]")
	}
	return s
}

// named are the tables under key, one for each name: [key.NAME].
func (t *table) named(key string) (all []*table, names nameSet) {
	group := t.sub(key)
	names = nameSet{keys(group.m), group.m}
	for _, name := range names.sorted {
		path := group.child(name)
		t.d.name(path, name)
		m := t.d.table(path, group.m[name], "a table with a name, ["+key+".NAME]")
		if m != nil {
			all = append(all, &table{d: t.d, path: path, name: name, m: m})
		}
	}
	return all, names
}

// nameSet is what references can refer to. A name counts even if its table is faulty, so that references to it are not
// faults of their own.
type nameSet struct {
	sorted []string
	tables map[string]any
}

func (n nameSet) has(name string) bool {
	_, ok := n.tables[name]
	return ok
}

func (d *decoder) table(path string, raw any, expected string) map[string]any {
	m, ok := raw.(map[string]any)
	if !ok {
		hint := ""
		if _, list := raw.([]map[string]any); list {
			hint = "double brackets make a list; write single ones"
		}
		d.atKey(path, describe(raw), expected, hint)
	}
	return m
}

// maxName bounds a name, which appears in logs and metrics.
const maxName = 64

func (d *decoder) name(path, name string) {
	ok := name != "" && len(name) <= maxName
	for i := range len(name) {
		ok = ok && (bareByte(name[i]) || strings.IndexByte(".@", name[i]) >= 0)
	}
	if !ok {
		d.atKey(path, fmt.Sprintf("the name %s", quote(name)),
			fmt.Sprintf("a name of 1 to %d letters, digits and any of - _ . @", maxName), "")
	}
}

func (t *table) text(key, expected string, to *string) {
	if raw, ok := t.get(key); ok {
		if s, isText := raw.(string); isText {
			*to = s
		} else {
			t.d.at(t.child(key), describe(raw), expected, "")
		}
	}
}

func (t *table) choice(key string, to *string, options ...string) {
	raw, ok := t.get(key)
	if !ok {
		return
	}
	if s, _ := raw.(string); slices.Contains(options, s) {
		*to = s
		return
	}
	hint := ""
	if s, isText := raw.(string); isText {
		hint = t.d.meant(s, options)
	}
	quoted := make([]string, len(options))
	for i, o := range options {
		quoted[i] = strconv.Quote(o)
	}
	t.d.at(t.child(key), describe(raw), oneOf(quoted), hint)
}

func (t *table) flag(key string, to *bool) {
	raw, ok := t.get(key)
	if !ok {
		return
	}
	if b, isBool := raw.(bool); isBool {
		*to = b
		return
	}
	hint := ""
	if s, _ := raw.(string); s == "true" || s == "false" {
		hint = "write " + s + " without quotes"
	}
	t.d.at(t.child(key), describe(raw), "true or false", hint)
}

func (t *table) count(key string, to *int, lo, hi int) {
	raw, ok := t.get(key)
	if !ok {
		return
	}
	if n, isInt := raw.(int64); isInt && int64(lo) <= n && n <= int64(hi) {
		*to = int(n)
		return
	}
	hint := ""
	if s, isText := raw.(string); isText {
		if _, err := strconv.Atoi(s); err == nil {
			hint = "write " + s + " without quotes"
		}
	}
	t.d.at(t.child(key), describe(raw), fmt.Sprintf("a number from %d to %d", lo, hi), hint)
}

func (t *table) size(key string, to *int64, lo, hi int64) {
	quantity(t, key, to, lo, hi, unit[int64]{"size", parseSize, formatSize, sizeHint})
}

func (t *table) duration(key string, to *time.Duration, lo, hi time.Duration) {
	quantity(t, key, to, lo, hi, unit[time.Duration]{"duration", parseDuration, formatDuration, durationHint})
}

// unit is how a kind of quantity is written.
type unit[T any] struct {
	noun   string
	parse  func(string) (T, bool)
	format func(T) string
	hint   func(string) string // the right spelling of what parse does not take
}

// quantity reads a number with its unit, in a string.
func quantity[T int64 | time.Duration](t *table, key string, to *T, lo, hi T, u unit[T]) {
	raw, ok := t.get(key)
	if !ok {
		return
	}
	hint := ""
	switch v := raw.(type) {
	case string:
		n, ok := u.parse(v)
		if ok && lo <= n && n <= hi {
			*to = n
			return
		}
		if !ok {
			hint = u.hint(v)
		}
	case int64:
		hint = u.hint(strconv.FormatInt(v, 10))
	}
	t.d.at(t.child(key), describe(raw), fmt.Sprintf("a %s from %q to %q", u.noun, u.format(lo), u.format(hi)), hint)
}

// list hands each item of key to read, with its path. A single value counts as a list of one. It tells whether the key
// is there.
func (t *table) list(key string, read func(path string, item any)) bool {
	raw, ok := t.get(key)
	if !ok {
		return false
	}
	path := t.child(key)
	var items []any
	switch v := raw.(type) {
	case []any:
		items = v
	case []map[string]any:
		for _, m := range v {
			items = append(items, m)
		}
	default:
		read(path, raw)
		return true
	}
	for i, item := range items {
		read(path+"["+strconv.Itoa(i)+"]", item)
	}
	return true
}

// some notes a list at key that is empty, where that could only be a mistake.
func (t *table) some(key, expected string) {
	if items, isList := t.m[key].([]any); isList && len(items) == 0 {
		t.d.at(t.child(key), "an empty list", expected, "")
	}
}

// texts is list for strings.
func (t *table) texts(key, expected string, read func(path, s string)) {
	t.list(key, func(path string, item any) {
		if s, ok := item.(string); ok {
			read(path, s)
		} else {
			t.d.at(path, describe(item), expected, "")
		}
	})
}

// describe says what v is, short enough for one line.
func describe(v any) string {
	switch v := v.(type) {
	case string:
		return quote(v)
	case int64:
		return fmt.Sprintf("the number %d", v)
	case float64:
		return fmt.Sprintf("the number %v", v)
	case bool:
		return strconv.FormatBool(v)
	case time.Time:
		return "a date or time"
	case []any:
		return "a list"
	case []map[string]any:
		return "a list of tables"
	}
	return "a table"
}

// quote shortens what users wrote to what they recognise.
func quote(s string) string {
	const most = 60
	if r := []rune(s); len(r) > most {
		s = string(r[:most]) + "…"
	}
	return strconv.Quote(s)
}

func oneOf(words []string) string {
	const most = 12
	switch n := len(words); {
	case n == 0:
		return "nothing"
	case n == 1:
		return words[0]
	case n > most:
		return "one of " + strings.Join(words[:most], ", ") + ", …"
	}
	return "one of " + strings.Join(words, ", ")
}
