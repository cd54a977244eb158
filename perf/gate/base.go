package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// none is what asks for something to be left out.
const none = "none"

// build is a program to measure, and what it was built from.
type build struct{ path, from string }

// buildHere builds the program from the sources in repository, into the folder dir.
func buildHere(ctx context.Context, repository, dir string) (*build, error) {
	version, err := output(ctx, repository, "git", "describe", "--tags", "--always", "--dirty")
	if err != nil {
		version = "devel" // no repository, as in an archive of the sources
	}
	b := &build{filepath.Join(dir, "uringproxy"), version}
	return b, compile(ctx, repository, b.path, version)
}

// buildBase finds or builds what this build is compared with: base is the path of a program, or a commit, which is
// built from an archive of its files, so that neither the repository nor the files in work are touched. Empty: the
// newest release before this commit, or when there is none, the commit before. nil: none is wanted.
func buildBase(ctx context.Context, repository, base, dir string) (*build, error) {
	if base == none {
		return nil, nil
	}
	if info, err := os.Stat(base); err == nil && info.Mode().IsRegular() {
		path, err := filepath.Abs(base)
		return &build{path, path}, err
	}
	if base == "" {
		var err error
		if base, err = previous(ctx, repository); err != nil {
			return nil, err
		}
	}
	commit, err := output(ctx, repository, "git", "rev-parse", "--verify", "--quiet", base+"^{commit}")
	if err != nil {
		return nil, fmt.Errorf("find base %q: no program and no commit here; give a path, a tag or a commit", base)
	}
	sources := filepath.Join(dir, "base")
	if err := os.Mkdir(sources, 0o700); err != nil {
		return nil, err
	}
	archive := filepath.Join(dir, "base.tar")
	if _, err := output(ctx, repository, "git", "archive", "-o", archive, commit); err != nil {
		return nil, err
	}
	if _, err := output(ctx, sources, "tar", "-xf", archive); err != nil {
		return nil, err
	}
	b := &build{filepath.Join(dir, "uringproxy-base"), base + ", commit " + commit[:min(12, len(commit))]}
	return b, compile(ctx, sources, b.path, "base-"+commit[:min(12, len(commit))])
}

// previous names the newest release tag among the ancestors of this commit, or the commit before this one.
func previous(ctx context.Context, repository string) (string, error) {
	tag, err := output(ctx, repository, "git", "describe", "--tags", "--abbrev=0", "--match", "v*", "HEAD^")
	if err == nil {
		return tag, nil
	}
	if _, err := output(ctx, repository, "git", "rev-parse", "--verify", "--quiet", "HEAD^"); err == nil {
		return "HEAD^", nil
	}
	return "", errors.New("find what to compare with: there is no release and no earlier commit here; " +
		"give one with --base, or --base " + none)
}

// compile builds the program as make build does.
func compile(ctx context.Context, sources, path, version string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false",
		"-ldflags", "-X main.version="+version, "-o", path, "./cmd/uringproxy")
	cmd.Dir, cmd.Env = sources, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build uringproxy %s: %w\n%s", version, err, out)
	}
	return nil
}

// output runs a command in a folder, and returns what it writes without the last line's end.
func output(ctx context.Context, dir string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	var complaint strings.Builder
	cmd.Dir, cmd.Stderr = dir, &complaint
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("run %s: %w %s", strings.Join(args, " "), err, strings.TrimSpace(complaint.String()))
	}
	return strings.TrimSpace(string(out)), nil
}
