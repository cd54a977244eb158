package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/uringproxy/uringproxy/config"
	"github.com/uringproxy/uringproxy/server"
)

// maxShards is also what the configuration allows.
const maxShards = 256

func runRun(env *environment, args []string) int {
	opts := server.Options{Stdout: env.stdout, Stderr: env.stderr, Version: versionText()}
	f := env.flags("run")
	f.list("config", &opts.ConfigPaths)
	f.choice("engine", &opts.Engine, "auto", "uring", "epoll")
	f.choice("tier", &opts.Tier, "auto", "T1", "T2", "T3")
	f.Func("shards", "", func(s string) (err error) {
		if opts.Shards, err = strconv.Atoi(s); err != nil || opts.Shards < 1 || opts.Shards > maxShards {
			return fmt.Errorf("choose a number from 1 to %d", maxShards)
		}
		return nil
	})
	if code, done := f.parse(args); done {
		return code
	}
	err := server.Run(context.Background(), opts)
	var faults config.Faults
	switch {
	case errors.As(err, &faults):
		return env.faulty(faults)
	case err != nil:
		return env.failed(err)
	}
	return exitOK
}
