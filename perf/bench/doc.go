// Package bench compares uringproxy with other proxies: it starts each with an equivalent configuration on one core,
// has it loaded from another core in turns, and returns figures as a perf/result.Run.
//
// What is measured is a scenario (scenario.go lists them); what is measured with it, a kind of proxy (kind.go); a
// target is one proxy in one scenario. Targets of a scenario run side by side and take turns round by round, so that
// whatever changes on the machine changes for all; a figure is the median over the rounds, a ratio that of ratios
// within a round. Nothing is left behind: all processes belong to a peer.Group, and all files to its folder.
//
// Load generator and upstream are processes of this same program (helper.go). Only cmd/uringproxy imports the package.
package bench
