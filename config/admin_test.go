package config

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The address is found in whatever state the rest is.
func TestFindAdmin(t *testing.T) {
	const rest = "[listeners.web]\naddress = \":80\"\n" +
		"[routes.a]\nservice = \"a\"\n[services.a]\nendpoints = [\"unix:/a\"]\n"
	const admin = "[admin]\naddress = \"unix:/run/admin.sock\"\n"
	dir, found := t.TempDir(), Admin{Unix: "/run/admin.sock", Explicit: true}
	for name, tt := range map[string]struct {
		text  string
		want  Admin
		fault string // of the first fault
	}{
		"good":    {admin + rest, found, ""},
		"default": {rest, defaults().Admin, ""},
		"off":     {"[admin]\naddress = \"off\"\n" + rest, Admin{Off: true, Explicit: true}, ""},
		"faulty":  {admin + strings.Replace(rest, "\"a\"", "\"b\"", 1), found, ""},
		"alone":   {admin, found, ""},
		"guarded": {
			"[admin]\naddress = \"10.0.0.1:1\"\ntoken_file = \"/t\"\n",
			Admin{Addr: netip.MustParseAddrPort("10.0.0.1:1"), Explicit: true, TokenFile: "/t"}, "",
		},
		"itself":    {"[admin]\naddress = \"10.0.0.1:1\"\n" + rest, Admin{}, "admin.address"},
		"misspelt":  {"[admin]\nadress = \":1\"\n" + rest, Admin{}, "admin.adress"},
		"no syntax": {admin + "address =", Admin{}, "no value"},
		"no file":   {"", Admin{}, "no such file"},
	} {
		file := filepath.Join(dir, name)
		if tt.text != "" {
			if err := os.WriteFile(file, []byte(tt.text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		got, faults := FindAdmin([]string{file})
		if tt.fault == "" && (got != tt.want || len(faults) > 0) ||
			tt.fault != "" && (len(faults) == 0 || !strings.Contains(faults[0].Error(), tt.fault)) {
			t.Errorf("%s: %+v, %v", name, got, faults)
		}
	}
}
