package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// repository makes a small one with three commits, of a program that says its version.
func repository(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "go.mod"), "module example.org/m\n\ngo 1.24\n")
	main := "package main\n\nvar version string\n\nfunc main() { print(\"%\", version) }\n"
	git(t, dir, "init", "-q")
	for _, word := range []string{"one ", "two ", "three "} {
		write(t, filepath.Join(dir, "cmd/uringproxy/main.go"), strings.Replace(main, "%", word, 1))
		git(t, dir, "add", ".")
		git(t, dir, "commit", "-q", "-m", word)
	}
	return dir
}

func git(t *testing.T, dir string, args ...string) {
	t.Helper()
	author := []string{"-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"}
	if _, err := output(context.Background(), dir, append(append([]string{"git"}, author...), args...)...); err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// says runs a program that was built and returns what it says.
func says(t *testing.T, b *build) string {
	t.Helper()
	out, err := exec.Command(b.path).CombinedOutput()
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func TestBase(t *testing.T) {
	ctx, repo := context.Background(), repository(t)
	ours, err := buildHere(ctx, repo, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if got := says(t, ours); !strings.HasPrefix(got, "three ") {
		t.Errorf("this build says %q", got)
	}
	for _, tc := range []struct{ base, tag, want string }{
		{"", "", "two base-"},
		{"HEAD~2", "", "one base-"},
		{"", "v1.0", "one base-"}, // at the first commit
		{ours.path, "", "three "},
	} {
		if tc.tag != "" {
			git(t, repo, "tag", tc.tag, "HEAD~2")
			git(t, repo, "tag", "v2.0") // this commit's own is not an earlier one
		}
		b, err := buildBase(ctx, repo, tc.base, t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		if got := says(t, b); !strings.HasPrefix(got, tc.want) {
			t.Errorf("base %q says %q, expected %q", tc.base, got, tc.want)
		}
	}
	if b, err := buildBase(ctx, repo, none, t.TempDir()); b != nil || err != nil {
		t.Errorf("no base: %v, %v", b, err)
	}
	_, err = buildBase(ctx, repo, "nowhere", t.TempDir())
	if err == nil || !strings.Contains(err.Error(), `"nowhere"`) {
		t.Errorf("an unknown base: %v", err)
	}
	if out, err := output(ctx, repo, "git", "status", "--porcelain"); out != "" || err != nil {
		t.Errorf("left in the repository: %q, %v", out, err)
	}
}

func TestBaseThatDoesNotBuild(t *testing.T) {
	ctx, repo := context.Background(), repository(t)
	write(t, filepath.Join(repo, "cmd/uringproxy/main.go"), "package main\n\nfunc main() { nonsense() }\n")
	git(t, repo, "commit", "-q", "-a", "-m", "four")
	if _, err := buildBase(ctx, repo, "HEAD", t.TempDir()); err == nil || !strings.Contains(err.Error(), "nonsense") {
		t.Errorf("%v", err)
	}
	if _, err := buildBase(ctx, t.TempDir(), "", t.TempDir()); err == nil || !strings.Contains(err.Error(), "--base") {
		t.Errorf("outside of a repository: %v", err)
	}
}
