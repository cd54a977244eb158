// Package regset matches many regular expressions at once: up to 64 of them are one Set, which reads its input once and
// says which of them match.
//
// The dialect is that of Go's regexp, and so is the result, byte for byte, on any input. A Set is immutable and safe for
// concurrent use; matching neither allocates nor locks, except in expressions that are Loose. The package imports the
// standard library only.
package regset

// Max is the number of expressions that a Set can hold.
const Max = 64
