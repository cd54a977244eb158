package config

import (
	"testing"
	"unicode/utf8"
)

// FuzzOffsets: each character of a string is found where it was written.
func FuzzOffsets(f *testing.F) {
	for _, raw := range []string{
		`"abc"`, `'a\bc'`, `"a\tb\u00e9\U0001F600\x41\"c"`, `""`, `""""""`, "\"\"\"\nab\\\n  \n c\\n\\\r\n d\"\"\"",
		"'''\r\na'b''c'''''", `"""a"b""c"""""`, "\"\"\"\\\n\"\"\"", `"é€😀x"`, "\"\"\"a\\  \n b\"\"\"",
		`"\u0000\u007f\u0080\u07ff\u0800\uffff"`,
	} {
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		if !utf8.ValidString(raw) || raw == "" || raw[0] != '"' && raw[0] != '\'' {
			return
		}
		var v struct{ K string }
		if _, err := decodeTOML("K = "+raw, &v); err != nil {
			return
		}
		s := scanner{text: raw, tooDeep: -1}
		raw = s.quoted(true) // without what follows the string
		last := 0
		for k, c := range v.K {
			at := rawOffset(raw, k)
			if at <= last || at >= len(raw) {
				t.Fatalf("%q: byte %d of %q is at %d, after %d", raw, k, v.K, at, last)
			}
			if got, _ := utf8.DecodeRuneInString(raw[at:]); got != c && got != '\\' {
				t.Fatalf("%q: byte %d of %q is at %d, which is %q", raw, k, v.K, at, got)
			}
			last = at
		}
		end := rawOffset(raw, len(v.K))
		if rest := raw[end:]; rest != raw[:1] && rest != raw[:1]+raw[:1]+raw[:1] {
			t.Fatalf("%q: the end of %q is at %d, before %q", raw, v.K, end, rest)
		}
	})
}
