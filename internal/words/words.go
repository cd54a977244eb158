// Package words puts numbers and text of unknown origin into messages for people. It imports nothing of the project,
// and everything that speaks to people uses it.
package words

import (
	"strconv"
	"strings"
	"unicode"
)

// Count is a number with its noun: "1 route", "1200 routes".
func Count(n int, noun string) string { return counted(n, strconv.Itoa(n), noun) }

// GroupedCount is Count with the number as Group writes it: "1,200 routes".
func GroupedCount(n int, noun string) string { return counted(n, Group(n), noun) }

func counted(n int, number, noun string) string {
	if n == 1 {
		return number + " " + noun
	}
	return number + " " + noun + "s"
}

// Group writes n with a comma before every three digits: "1,200".
func Group(n int) string { return GroupDigits(strconv.Itoa(n)) }

// GroupDigits puts the commas into a number that is written already, as "-1200.5": only what stands before the point is
// grouped.
func GroupDigits(number string) string {
	whole := strings.IndexByte(number, '.')
	if whole < 0 {
		whole = len(number)
	}
	first := 0 // digit
	if strings.HasPrefix(number, "-") {
		first = 1
	}
	for i := whole - 3; i > first; i -= 3 {
		number = number[:i] + "," + number[i:]
	}
	return number
}

// Dropped, as what Printable writes in place of a character, writes nothing.
const Dropped rune = -1

// Printable replaces what a terminal might obey: every character that does not print, unless keep has it. The direction
// of writing and line ends are such characters too.
func Printable(text, keep string, instead rune) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) || strings.ContainsRune(keep, r) {
			return r
		}
		return instead
	}, text)
}
