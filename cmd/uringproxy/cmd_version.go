package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// version is set when the program is linked; without that, the build's own records have to do.
var version string

func runVersion(env *environment, args []string) int {
	if code, done := env.flags("version").parse(args); done {
		return code
	}
	fmt.Fprintf(env.stdout, "uringproxy %s, %s, %s/%s\n",
		versionText(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return exitOK
}

func versionText() string {
	if version != "" {
		return version
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "devel"
	}
	return describeBuild(info)
}

// describeBuild prefers a module version, which "go install" leaves, to a commit, which "go build" does.
func describeBuild(info *debug.BuildInfo) string {
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	text, modified := "devel", ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision" && len(s.Value) >= 12:
			text = "devel-" + s.Value[:12]
		case s.Key == "vcs.modified" && s.Value == "true":
			modified = "-dirty"
		}
	}
	return text + modified
}
