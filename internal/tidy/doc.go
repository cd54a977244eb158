// Package tidy holds the rules of this repository as tests: which package may import which, what the data plane may
// not use, how long a file, a function and a line may be, and what may not stay in the source.
//
// It has no code of its own and nobody imports it; its tests read the sources of the whole module. A rule that stands
// in the way is to be discussed and changed here, in the open, and not to be worked around.
package tidy
