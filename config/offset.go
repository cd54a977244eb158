package config

import "strings"

// rawOffset translates an offset in a string into one in the text of the file that begins with the string as it is
// written there, quotes included: escapes are longer than what they stand for, and some line ends stand for nothing.
func rawOffset(raw string, at int) int {
	if raw == "" || raw[0] != '"' && raw[0] != '\'' {
		return 0
	}
	quote, i := raw[:1], 1
	multiline := strings.HasPrefix(raw, strings.Repeat(quote, 3))
	if multiline {
		i = 3 + leadingNewline(raw[3:])
	}
	for at > 0 && i < len(raw) {
		n, width := 1, 1 // bytes here, and in the string
		if raw[i] == '\\' && quote == `"` {
			n, width = escape(raw[i:])
		} else if closes(raw[i:], quote, multiline) {
			break
		}
		if width > at {
			break
		}
		i, at = i+n, at-width
	}
	return passLineEnds(raw, i, quote, multiline)
}

// closes tells whether raw begins with the quotes that end the string.
func closes(raw, quote string, multiline bool) bool {
	if !multiline {
		return raw[:1] == quote
	}
	fence := strings.Repeat(quote, 3)
	return strings.HasPrefix(raw, fence) && !strings.HasPrefix(raw[1:], fence)
}

// leadingNewline is the length of a line end right after the opening quotes, which is not part of the string.
func leadingNewline(raw string) int {
	switch {
	case strings.HasPrefix(raw, "\n"):
		return 1
	case strings.HasPrefix(raw, "\r\n"):
		return 2
	}
	return 0
}

// escape measures the escape that raw begins with, and how many bytes it stands for.
func escape(raw string) (n, width int) {
	if len(raw) < 2 {
		return len(raw), 0
	}
	digits := 0
	switch raw[1] {
	case 'x':
		digits = 2
	case 'u':
		digits = 4
	case 'U':
		digits = 8
	case ' ', '\t', '\r', '\n':
		return len(raw) - len(strings.TrimLeft(raw[1:], " \t\r\n")), 0
	default:
		return 2, 1
	}
	n = min(2+digits, len(raw))
	return n, runeWidth(raw[2:n])
}

// runeWidth is how many bytes UTF-8 needs for a character given in hexadecimal digits.
func runeWidth(digits string) int {
	digits = strings.TrimLeft(digits, "0")
	switch n := len(digits); {
	case n < 2, n == 2 && digits < "8":
		return 1
	case n < 3, n == 3 && digits < "8":
		return 2
	case n < 5:
		return 3
	}
	return 4
}

// passLineEnds goes on to the next character if a backslash at the end of the line stands at i.
func passLineEnds(raw string, i int, quote string, multiline bool) int {
	for multiline && quote == `"` && i < len(raw) && raw[i] == '\\' {
		n, width := escape(raw[i:])
		if width > 0 {
			break
		}
		i += max(n, 1)
	}
	return i
}
