package main

import "github.com/uringproxy/uringproxy/engine/probe"

func runDoctor(env *environment, args []string) int {
	if code, done := env.flags("doctor").parse(args); done {
		return code
	}
	return probe.Doctor(env.stdout)
}
