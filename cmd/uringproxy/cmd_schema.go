package main

import "github.com/uringproxy/uringproxy/config"

func runSchema(env *environment, args []string) int {
	f := env.flags("schema")
	if code, done := f.parse(args); done {
		return code
	}
	text, err := config.DescribeFile().JSON()
	if err == nil {
		_, err = env.stdout.Write(text)
	}
	if err != nil {
		return env.failed(err)
	}
	return exitOK
}
