package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestToken(t *testing.T) {
	const good = "0123456789abcdef0123456789ABCDEF-._~+/=="
	dir := t.TempDir()
	for name, tt := range map[string]struct {
		text  string
		mode  os.FileMode
		fault string
	}{
		"good":     {good + "\n", 0o600, ""},
		"group":    {"\n " + good, 0o640, ""},
		"readable": {good, 0o644, "which everybody may read or change (mode 0644), expected a file for its owner"},
		"writable": {good, 0o602, "(mode 0602)"},
		"empty":    {" \n", 0o600, "which is empty"},
		"short":    {"secret", 0o600, "has 6 characters, expected 16 to 1024 characters; openssl rand -hex 32"},
		"long":     {strings.Repeat("x", 100_000), 0o600, "too long"},
		"lines":    {good + "\n" + good, 0o600, "several lines"},
		"signs":    {"correct horse battery staple", 0o600, "characters that a header field cannot hold"},
		"inside":   {"0123456789=0123456789", 0o600, "characters that a header field cannot hold"},
		"bytes":    {"\x00\x01\xff0123456789abcdef", 0o600, "characters that a header field cannot hold"},
		"none":     {"", 0, "which does not exist, expected a file with a token in it"},
	} {
		path := filepath.Join(dir, name)
		if tt.mode != 0 {
			if err := os.WriteFile(path, []byte(tt.text), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(path, tt.mode); err != nil {
				t.Fatal(err)
			}
		}
		expectToken(t, path, strings.TrimSpace(tt.text), tt.fault)
	}
	pipe := filepath.Join(dir, "pipe")
	if err := unix.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	expectToken(t, pipe, "", "which is no file")
	expectToken(t, dir, "", "which is no file")
	expectToken(t, "/dev/zero", "", "which is no file")
}

// expectToken reads the token as a configuration with that file does: a fault has its place.
func expectToken(t *testing.T, path, want, fault string) {
	t.Helper()
	c, faults := Parse("my.toml", []byte(DefaultText()+"[admin]\ntoken_file = \""+path+"\"\n"))
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	token, faults := c.Token()
	if fault == "" && (token != want || len(faults) > 0) {
		t.Errorf("%s: %q, %v", path, token, faults)
	}
	if fault != "" && (token != "" || len(faults) != 1 || !strings.Contains(faults.Error(), fault) ||
		faults[0].Line == 0 || faults[0].Excerpt() == "") {
		t.Errorf("%s: %q, %v", path, token, faults)
	}
}

func TestNoToken(t *testing.T) {
	if token, faults := Default().Token(); token != "" || len(faults) > 0 {
		t.Errorf("%q, %v", token, faults)
	}
}
