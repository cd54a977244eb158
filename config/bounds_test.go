package config

import (
	"fmt"
	"strings"
	"testing"
)

// TestHostileFiles: what no configuration looks like gives one fault that says so, without the library reading it.
func TestHostileFiles(t *testing.T) {
	if testing.Short() {
		t.Skip("it reads some hundred megabytes, on one goroutine")
	}
	const tables = "[listeners.a]\naddress = \":1\"\n[services.a]\nendpoints = \"http://10.0.0.1\"\n"
	big := maxWhole + 1000
	for _, c := range []struct{ what, text, want string }{
		{"too large", strings.Repeat("#\n", maxFile/2+1), "found more than 128MiB, expected a configuration file"},
		{"inline tables", "routes = {" + strings.Repeat("a={},", big/5) + "}", "cannot be read table by table"},
		{"dotted keys", strings.Repeat("routes.a.b=1\n", big/12), "cannot be read table by table"},
		{"an endless list", tables + "[routes.a]\nhost = [" + strings.Repeat(`"a.test",`, big/9),
			"x:5:1: found more than 16MiB"},
		{"an endless string", tables + "[routes.a]\nservice = \"\"\"" + strings.Repeat("abcd\n", big/5),
			"expected smaller tables; is there a string or a list that does not end?"},
		{"deep lists", "a = " + strings.Repeat("[", big), "nested more than 32 deep"},
		{"deep tables", "[a" + strings.Repeat(".a", big/2) + "]", "nested more than 32 deep"},
		{"deep keys", "a" + strings.Repeat(".a", big/2) + " = 1", "nested more than 32 deep"},
		{"one long line", strings.Repeat("a", big), "found more than 16MiB in one table"},
		{"words", strings.Repeat("word by word\n", big/13), "x:1:6: found no equals sign"},
	} {
		_, faults := Parse("x", []byte(c.text))
		if len(faults) != 1 || !strings.Contains(faults[0].Error(), c.want) || len(faults[0].Excerpt()) > 1000 {
			t.Errorf("%s: %d faults, want one with %q", c.what, len(faults), c.want)
			if len(faults) > 0 {
				t.Errorf("the first: %.300s", faults[0].Error())
			}
		}
	}
}

// TestOneTypoAmongMany: it is found, shown with its line, and nothing else is.
func TestOneTypoAmongMany(t *testing.T) {
	n, odd := 30_000, 20_000
	if testing.Short() {
		n, odd = 3000, 2000
	}
	good := manyRoutes(n, -1)
	line := 4 + odd*5 + 5
	name := fmt.Sprintf("[routes.route-%07d]\nhost = \"h%07d.example.com\"\npath_prefix = \"/api\"\n", odd, odd)
	for bad, want := range map[string]string{
		"service = \"ap\"\n":         `found "ap", which is no service, expected app; did you mean "app"?`,
		"service = app\n":            "found a value that is not a string, number, list or table",
		"service = \"app\"\nx = 1\n": "found an unknown key",
		"service = \"app\n":          "found a string without its closing quote",
	} {
		text := strings.Replace(good, name+"service = \"app\"\n", name+bad, 1)
		_, faults := Parse("x", []byte(text))
		if len(faults) != 1 || !strings.Contains(faults.Error(), want) ||
			faults[0].Line < line || faults[0].Line > line+1 {
			t.Errorf("%q: %v, want %q in line %d", bad, faults, want, line)
		}
	}
}

// TestManyFilesOfFaults: faults are listed in the order of files, as many as there may be.
func TestManyFilesOfFaults(t *testing.T) {
	dir := t.TempDir()
	files := map[string]string{}
	for i := range 40 {
		var b strings.Builder
		for j := range 100 {
			fmt.Fprintf(&b, "[routes.r%d-%d]\nx = 1\n", i, j)
		}
		files[fmt.Sprintf("%02d.toml", i)] = b.String()
	}
	writeFiles(t, dir, files)
	_, faults := Load([]string{dir})
	if faults.Count() != 40*100*2+2 || len(faults) != maxFaults+1 || len(faults.Files()) != 6 {
		t.Errorf("%d faults, %d listed, files %q", faults.Count(), len(faults), faults.Files())
	}
	if got := faults[198].Error(); !strings.Contains(got, "00.toml:199:9: routes.r0-99.service: found no service") {
		t.Errorf("the 199th: %s", got)
	}
}
