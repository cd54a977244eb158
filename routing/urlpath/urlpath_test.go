package urlpath

import (
	"bytes"
	"strings"
	"testing"
)

var (
	strict = Policy{}
	keep   = Policy{KeepSlash: true, KeepNUL: true, KeepDoubles: true}
)

// Whoever wants to reach /admin past a rule for it writes it in one of these ways.
func TestBypasses(t *testing.T) {
	for _, c := range []struct {
		path, want string // want is empty where the path is refused
		fault      Fault
	}{
		{"/admin", "/admin", OK},
		{"//admin", "/admin", OK},
		{"///admin", "/admin", OK},
		{"/./admin", "/admin", OK},
		{"/././/admin", "/admin", OK},
		{"/%61dmin", "/admin", OK},
		{"/%61%64%6D%69%6e", "/admin", OK},
		{"/x/../admin", "/admin", OK},
		{"/x/%2e%2e/admin", "/admin", OK},
		{"/x/.%2E/admin", "/admin", OK},
		{"/x/%2e./admin", "/admin", OK},
		{"/../admin", "/admin", OK},
		{"/../../admin", "/admin", OK},
		{"/..//../admin", "/admin", OK},
		{"/x//../admin", "/admin", OK},
		{"/x/y/../../admin", "/admin", OK},
		{"/%2e/admin", "/admin", OK},
		{"/admin/.", "/admin/", OK},
		{"/admin/", "/admin/", OK},
		{"/admin//", "/admin/", OK},
		{"/admin/x/..", "/admin/", OK},
		{"/admin/x/../", "/admin/", OK},
		{"/admin/..", "/", OK},
		{"/ADMIN", "/ADMIN", OK},
		{"/admin%2F..", "", EncodedSlash},
		{"/admin%2f..", "", EncodedSlash},
		{"/..%2fadmin", "", EncodedSlash},
		{"/..%5cadmin", "", EncodedSlash},
		{"/x%2F..%2Fadmin", "", EncodedSlash},
		{"%2Fadmin", "", EncodedSlash},
		{"/admin%00", "", EncodedNUL},
		{"/admin%00.css", "", EncodedNUL},
		{"/%2561dmin", "/%2561dmin", OK}, // one decoding only: to whom decodes twice, nobody can help
		{"/%252e%252e/x", "/%252e%252e/x", OK},
		{"/%25%36%31dmin", "/%2561dmin", OK}, // and none of what another decoding brought forth
		{"/.;/admin", "", DotParameter},
		{"/x/..;/admin", "", DotParameter},
		{"/x/..;a=b/admin", "", DotParameter},
		{"/x/%2e%2e;/admin", "", DotParameter},
		{"/x/..%3b/admin", "", DotParameter},
		{"/x/.%3B", "", DotParameter},
		{"/admin;x=y", "/admin;x=y", OK}, // a parameter: another path, unless the upstream cuts it off
		{"/...;/admin", "/...;/admin", OK},
		{"/.../admin", "/.../admin", OK},
		{"/.admin", "/.admin", OK},
		{"/admin%20", "/admin%20", OK},
		{"/admin%0a", "/admin%0A", OK},
		{"/%c0%ae%c0%ae/admin", "/%C0%AE%C0%AE/admin", OK}, // overlong UTF-8 is no dot
		{"/%ef%bc%8fadmin", "/%EF%BC%8Fadmin", OK},         // nor is a full-width slash a slash
		{"/%u002e/admin", "", BadEscape},
		{"/%", "", BadEscape},
		{"/%4", "", BadEscape},
		{"/%%36%31dmin", "", BadEscape},
	} {
		got, fault := Normalize(nil, []byte(c.path), strict)
		if string(got) != c.want || fault != c.fault {
			t.Errorf("%s becomes %q, %v, want %q, %v", c.path, got, fault, c.want, c.fault)
		}
		if normal := c.path == c.want; Normal([]byte(c.path)) != normal {
			t.Errorf("%s: Normal says %v", c.path, !normal)
		}
	}
}

func TestKeep(t *testing.T) {
	for path, want := range map[string]string{
		"":                   "",
		"*":                  "*",
		"/":                  "/",
		"//":                 "//",
		"//a///b/":           "//a///b/",
		"/a//../b":           "/a/b",
		"/a/..//b":           "//b",
		"//..":               "/",
		"//../b":             "/b",
		"/a//.":              "/a//",
		"/a%2fb%5c%00":       "/a%2Fb%5C%00",
		"/a%2f../b":          "/a%2F../b",
		"/a%2F/../b":         "/b",
		"/%2e%2e%2fa":        "/..%2Fa",
		"/caf%c3%a9/%7euser": "/caf%C3%A9/~user",
	} {
		if got, fault := Normalize(nil, []byte(path), keep); string(got) != want || fault != OK {
			t.Errorf("%s becomes %q, %v, want %q", path, got, fault, want)
		}
	}
}

func TestNormalizeAppends(t *testing.T) {
	dst := []byte("/before/")
	for path, want := range map[string]string{"/../../a": "/a", "/a/..": "/", "..": "..", "/.": "/"} {
		if got, _ := Normalize(dst, []byte(path), strict); string(got) != "/before/"+want {
			t.Errorf("%s makes it %q", path, got)
		}
	}
	if got, fault := Normalize(dst, []byte("/a/%00"), strict); string(got) != "/before/" || fault != EncodedNUL {
		t.Errorf("%q, %v", got, fault)
	}
}

func TestFaultsHaveNames(t *testing.T) {
	for f := OK; f <= DotParameter; f++ {
		if (f.String() == "") != (f == OK) {
			t.Errorf("fault %d is %q", f, f)
		}
	}
}

func policies(yield func(Policy) bool) {
	for i := range 8 {
		if !yield(Policy{KeepSlash: i&1 != 0, KeepNUL: i&2 != 0, KeepDoubles: i&4 != 0}) {
			return
		}
	}
}

// naive is the definition, step by step: decode, merge, take dot segments out.
func naive(path string, p Policy) (string, Fault) {
	var decoded strings.Builder
	for i := 0; i < len(path); i++ {
		if path[i] != '%' {
			decoded.WriteByte(path[i])
			continue
		}
		v, ok := unescape([]byte(path[i:]))
		if !ok {
			return "", BadEscape
		}
		if f := p.judge(v); f != OK {
			return "", f
		}
		if strings.IndexByte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~", v) >= 0 {
			decoded.WriteByte(v)
		} else {
			decoded.WriteString(strings.ToUpper(path[i : i+3]))
		}
		i += 2
	}
	in, out := decoded.String(), ""
	for !p.KeepDoubles && strings.Contains(in, "//") {
		in = strings.ReplaceAll(in, "//", "/")
	}
	for _, seg := range strings.Split(in, "/")[1:] {
		seg = strings.ReplaceAll(seg, "%3B", ";")
		if strings.HasPrefix(seg, ".;") || strings.HasPrefix(seg, "..;") {
			return "", DotParameter
		}
	}
	for in != "" { // RFC 3986, section 5.2.4; A and D concern relative references
		switch {
		case strings.HasPrefix(in, "/./"):
			in = in[2:]
		case in == "/.":
			in = "/"
		case strings.HasPrefix(in, "/../"), in == "/..":
			in = "/" + strings.TrimPrefix(in[3:], "/")
			out = out[:max(0, strings.LastIndexByte(out, '/'))]
		default:
			n := strings.IndexByte(in[1:], '/') + 1
			if n == 0 {
				n = len(in)
			}
			out, in = out+in[:n], in[n:]
		}
	}
	return out, OK
}

func FuzzNormalize(f *testing.F) {
	for _, s := range []string{
		"/a/b", "//a/./../%2e%2E/b%2f%5C%00", "/.;/..;a/..%3B/x", "/%41%7e%zz", "/a/b/../../../c/", "/.well-known/x",
		"/0123456/89/./0", "/%2", "/..", "/.", "/aaaaaaa//b",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, path []byte) {
		if len(path) == 0 || path[0] != '/' {
			return
		}
		normal := true
		for p := range policies {
			got, fault := Normalize(nil, path, p)
			want, wantFault := naive(string(path), p)
			if string(got) != want || fault != wantFault && (fault == OK || wantFault == OK) {
				t.Fatalf("%q under %+v becomes %q, %v, want %q, %v", path, p, got, fault, want, wantFault)
			}
			normal = normal && fault == OK && bytes.Equal(got, path)
			if fault != OK {
				continue
			}
			if len(got) > len(path) || got[0] != '/' {
				t.Fatalf("%q becomes %q", path, got)
			}
			if again, fault := Normalize(nil, got, p); fault != OK || !bytes.Equal(again, got) {
				t.Fatalf("%q becomes %q, and that %q, %v", path, got, again, fault)
			}
			own := bytes.Clone(path)
			if inPlace, _ := Normalize(own[:0], own, p); !bytes.Equal(inPlace, got) {
				t.Fatalf("%q becomes %q in place, else %q", path, inPlace, got)
			}
		}
		if Normal(path) != normal {
			t.Fatalf("Normal(%q) = %v", path, !normal)
		}
	})
}

// The bytes that matter are at every place in a word once.
func TestNormalAtEveryOffset(t *testing.T) {
	for _, part := range []string{"//", "/./", "/../", "%61", "%2f", "%00", "%c3", "/.;"} {
		for n := range 40 {
			path := "/" + strings.Repeat("x", n) + part + "abc"
			if Normal([]byte(path)) {
				t.Errorf("%s is taken for normal", path)
			}
			for _, good := range []string{"/.x", "/...", "%C3%A9", "/-/", "./", "..x", "%2B"} {
				path := "/x" + strings.Repeat("x", n) + good + "abcdefghijkl"
				if !Normal([]byte(path)) {
					t.Errorf("%s is not taken for normal", path)
				}
			}
		}
	}
}

func TestNothingAllocates(t *testing.T) {
	path, dst := []byte("/a/./b/../%61//%c3%a9/x.html"), make([]byte, 0, 100)
	if n := testing.AllocsPerRun(100, func() {
		Normal(path)
		Normalize(dst, path, strict)
		Normalize(dst, []byte("/%00"), strict)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkNormal(b *testing.B) {
	for _, path := range []string{
		"/", "/index.html", "/api/v1/users/4711/orders/2026-11/latest", "/api/v1/users/4711/orders/caf%C3%A9/late",
		"/" + strings.Repeat("abcdefghij/", 18),
	} {
		b.Run(path[:min(len(path), 45)], func(b *testing.B) {
			p := []byte(path)
			for b.Loop() {
				if !Normal(p) {
					b.Fatal(path)
				}
			}
		})
	}
}

func BenchmarkNormalize(b *testing.B) {
	path, dst := []byte("/api/v1/users/../users/4711//orders/2026-11/%6catest"), make([]byte, 0, 100)
	for b.Loop() {
		Normalize(dst, path, strict)
	}
}
