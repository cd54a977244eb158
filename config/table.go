package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/uringproxy/uringproxy/internal/suggest"
)

// decoder turns tables into values, and collects what is wrong with them.
type decoder struct {
	collector
	source string // of the configuration as a whole
	// in says where the keys of the tables that are read now may stand.
	in                  []*locator
	listeners, services *nameSet

	compared int // words, in the search for similar ones
}

// at notes a fault at the value of path, atKey at its name.
func (d *decoder) at(path, found, expected, hint string) {
	d.note(path, atValue, found, expected, hint)
}

func (d *decoder) atKey(path, found, expected, hint string) {
	d.note(path, atName, found, expected, hint)
}

// inText notes a fault at a byte of the string that is the value of path.
func (d *decoder) inText(path string, at int, found, expected, hint string) {
	d.note(path, at, found, expected, hint)
}

const (
	atValue = -1
	atName  = -2
)

func (d *decoder) note(path string, at int, found, expected, hint string) {
	if d.full() {
		d.more++
		return
	}
	f := Fault{File: d.source, Key: path, Found: found, Expected: expected, Hint: hint, offset: -1}
	best := 0
	for i, l := range d.in {
		p, n := l.find(path)
		if i > 0 && n <= best {
			continue
		}
		f.File, best = l.doc.src.name, n
		if n == 0 {
			continue
		}
		f.src, f.offset = l.doc.src, p.value
		if at == atName {
			f.offset = p.key
		} else if at >= 0 && n == len(path) {
			f.offset += rawOffset(l.doc.src.text()[p.value:], at)
		}
	}
	if best == 0 && len(d.in) > 1 {
		f.File = d.source
	}
	d.add(f)
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
	d       *decoder
	path    string
	name    string // the last part of path, for named tables
	m       map[string]any
	known   []string
	refused []string // keys that are there, and were found not to belong there
	shape   *Schema  // filled in when the readers are to describe what they take
}

func newTable(d *decoder, path, name string, m map[string]any) *table {
	return &table{d: d, path: path, name: name, m: m, known: make([]string, 0, 24)}
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
		if slices.Contains(t.known, key) || slices.Contains(t.refused, key) {
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
func (t *table) sub(key, says string) *table {
	s := newTable(t.d, t.child(key), "", nil)
	if t.shape != nil {
		s.shape = t.shape.add(key, says, &Schema{Type: "object", Others: false})
	}
	if raw, ok := t.get(key); ok {
		s.m = t.d.table(s.path, raw, "a table, ["+s.path+"]")
	}
	return s
}

// optional is sub for a table whose absence means something else than an empty one: ok tells that it is to be read.
func (t *table) optional(key, says string) (s *table, ok bool) {
	_, there := t.m[key]
	if !there && t.shape == nil {
		t.known = append(t.known, key)
		return nil, false
	}
	s = t.sub(key, says)
	return s, s.m != nil || t.shape != nil
}

// require notes that key is missing. It comes after the key's reader.
func (t *table) require(key, found, expected string) {
	if t.shape != nil {
		t.shape.Required = append(t.shape.Required, key)
		t.shape.Properties[key].Default = nil
	}
	if _, ok := t.m[key]; !ok {
		t.d.atKey(t.child(key), found, expected, "")
	}
}

// nameSet is what references can refer to. A name counts even if its table is faulty, so that references to it are not
// faults of their own.
type nameSet struct {
	units []*unit // in the order of their names
	asked int
	set   map[string]bool
	all   []string
}

// manyNames is from how many questions on it is worth making a map.
const manyNames = 100

func (n *nameSet) has(name string) bool {
	if n.asked++; n.asked > manyNames && n.set == nil {
		n.set = make(map[string]bool, len(n.units))
		for _, u := range n.units {
			n.set[u.name] = true
		}
	}
	if n.set != nil {
		return n.set[name]
	}
	_, ok := slices.BinarySearchFunc(n.units, name, func(u *unit, s string) int { return strings.Compare(u.name, s) })
	return ok
}

func (n *nameSet) sorted() []string {
	if n.all == nil {
		for _, u := range n.units {
			n.all = append(n.all, u.name)
		}
		n.all = slices.Compact(n.all)
	}
	return n.all
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

func (t *table) text(key, says, expected string, to *string) {
	if t.shape != nil {
		t.shape.add(key, says, &Schema{Type: "string", Default: *to})
	}
	if raw, ok := t.get(key); ok {
		if s, isText := raw.(string); isText {
			*to = s
		} else {
			t.d.at(t.child(key), describe(raw), expected, "")
		}
	}
}

func (t *table) choice(key, says string, to *string, options ...string) {
	if t.shape != nil {
		t.shape.add(key, says, &Schema{Type: "string", Enum: options, Default: *to})
	}
	raw, ok := t.get(key)
	if !ok {
		return
	}
	if s, _ := raw.(string); slices.Contains(options, s) {
		*to = s
		return
	}
	hint := ""
	if s, isText := raw.(string); isText && len(options) > 1 {
		hint = t.d.meant(s, options)
	} else if isText {
		hint = "this version has nothing else yet"
	}
	quoted := make([]string, len(options))
	for i, o := range options {
		quoted[i] = strconv.Quote(o)
	}
	t.d.at(t.child(key), describe(raw), oneOf(quoted), hint)
}

func (t *table) flag(key, says string, to *bool) {
	if t.shape != nil {
		t.shape.add(key, says, &Schema{Type: "boolean", Default: *to})
	}
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

func (t *table) count(key, says string, to *int, lo, hi int) {
	if t.shape != nil {
		t.shape.add(key, says, &Schema{Type: "integer", Minimum: &lo, Maximum: &hi, Default: *to})
	}
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

func (t *table) size(key, says string, to *int64, lo, hi int64) {
	quantity(t, key, says, to, lo, hi, unitOf[int64]{"size", sizePattern, parseSize, formatSize, sizeHint})
}

func (t *table) duration(key, says string, to *time.Duration, lo, hi time.Duration) {
	quantity(t, key, says, to, lo, hi,
		unitOf[time.Duration]{"duration", durationPattern, parseDuration, formatDuration, durationHint})
}

// unitOf is how a kind of quantity is written.
type unitOf[T any] struct {
	noun    string
	pattern string // what parse takes, as a regular expression, bounds apart
	parse   func(string) (T, bool)
	format  func(T) string
	hint    func(string) string // the right spelling of what parse does not take
}

// quantity reads a number with its unit, in a string.
func quantity[T int64 | time.Duration](t *table, key, says string, to *T, lo, hi T, u unitOf[T]) {
	if t.shape != nil {
		says = fmt.Sprintf("%s; %q to %q", says, u.format(lo), u.format(hi))
		t.shape.add(key, says, &Schema{Type: "string", Pattern: u.pattern, Default: u.format(*to)})
	}
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

// ports is texts for what may be numbers.
func (t *table) ports(key, says, expected, none string, read func(path, s string)) {
	if t.shape != nil {
		t.shape.add(key, says, portList())
	}
	if items, isList := t.m[key].([]any); isList && len(items) == 0 {
		t.d.at(t.child(key), "an empty list", none, "")
	}
	t.list(key, func(path string, item any) {
		switch v := item.(type) {
		case string:
			read(path, v)
		case int64:
			read(path, strconv.FormatInt(v, 10))
		default:
			t.d.at(path, describe(item), expected, "")
		}
	})
}

// texts is list for strings. none, when there is such a text, says why an empty list makes no sense.
func (t *table) texts(key, says, expected, none string, read func(path, s string)) {
	if t.shape != nil {
		t.shape.add(key, says, textList(none != ""))
	}
	if items, isList := t.m[key].([]any); isList && len(items) == 0 && none != "" {
		t.d.at(t.child(key), "an empty list", none, "")
	}
	t.list(key, func(path string, item any) {
		if s, ok := item.(string); ok {
			read(path, s)
		} else {
			t.d.at(path, describe(item), expected, "")
		}
	})
}
