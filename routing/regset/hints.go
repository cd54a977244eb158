package regset

import "strings"

// lacks is how a message about another dialect's feature ends.
const lacks = ", which Go's regexp dialect (RE2) does not have"

// feature is something that other dialects have, by how it begins.
type feature struct{ begin, name, hint string }

var groups = []feature{
	{"(?=", "a lookahead", "state what follows as part of the expression, or as a second condition"},
	{"(?!", "a negative lookahead", "state what must not be there as a second condition, negated"},
	{"(?<=", "a lookbehind", "state what comes before as part of the expression, or as a second condition"},
	{"(?<!", "a negative lookbehind", "state what must not be there as a second condition, negated"},
	{"(?>", "an atomic group", "write (?: instead: no expression backtracks here"},
	{"(?#", "a comment", "leave it out"},
	{"(?P=", "a backreference", "write out what it may stand for"},
	{"(?P>", "a recursion", "write out as many levels as there may be"},
	{"(?R", "a recursion", "write out as many levels as there may be"},
	{"(?&", "a recursion", "write out as many levels as there may be"},
	{"(?(", "a condition", "write both cases, with | between them"},
	{"(?|", "a branch reset", "write (?: instead"},
	{"(?x", "the free-spacing flag", "leave out the white space and comments"},
}

// explainGroup is for what follows a parenthesis with a question mark.
func explainGroup(text string) (msg, hint string) {
	for _, f := range groups {
		if strings.HasPrefix(text, f.begin) {
			return f.begin + " begins " + f.name + lacks, f.hint
		}
	}
	if strings.HasPrefix(text, "(?<") || strings.HasPrefix(text, "(?P<") {
		return text + " is not a valid name for a group",
			"a name is of letters, digits and _, and closed by >; or write (?: for a group without a name"
	}
	return text + " is not a valid group",
		"write (?: for a group, or (?i), (?s), (?m), (?U) for what follows to ignore case, match newlines with ., " +
			"match ^ and $ at lines, prefer short matches"
}

var escapes = []feature{
	{`\k`, "a backreference", "write out what it may stand for"},
	{`\g`, "a backreference", "write out what it may stand for"},
	{`\Z`, "the end of the text or of its last line", `write \z or $ for the end`},
	{`\G`, "the end of the match before", `write ^ or \A for the beginning`},
	{`\K`, "a new beginning of the match", "leave it out"},
	{`\R`, "a line break of any kind", `write (?:\r\n|\n|\r)`},
	{`\h`, "horizontal white space", `write [ \t]`},
	{`\H`, "all but horizontal white space", `write [^ \t]`},
	{`\N`, "all but a newline", "write ."},
	{`\X`, "a grapheme", "write ."},
	{`\e`, "the escape character", `write \x1b`},
	{`\c`, "a control character", `write \x and two hexadecimal digits`},
	{`\u`, "a Unicode character", `write \x{...} with its hexadecimal digits`},
	{`\<`, "the beginning of a word", `write \b`},
	{`\>`, "the end of a word", `write \b`},
}

// explainEscape is for what follows a backslash.
func explainEscape(text string) (msg, hint string) {
	if len(text) == 2 && '1' <= text[1] && text[1] <= '9' {
		return text + " is a backreference" + lacks, "write out what it may stand for"
	}
	for _, f := range escapes {
		if strings.HasPrefix(text, f.begin) {
			return f.begin + " (" + f.name + " in other dialects) is not in Go's regexp dialect (RE2)", f.hint
		}
	}
	if strings.HasPrefix(text, `\x`) {
		return text + " is not a valid character", `write \x and two hexadecimal digits, or \x{...}`
	}
	return text + " is not a valid escape", `write \\ for the character \; letters and digits are not escaped`
}

// explainDouble is for a repetition of a repetition.
func explainDouble(text string) (msg, hint string) {
	if strings.HasSuffix(text, "+") {
		return text + " is a possessive repetition" + lacks, "leave out the last +: no expression backtracks here"
	}
	return text + " repeats a repetition", "leave out one of them, or put parentheses around the first"
}

// explainRange is for a class, or a range in one, that does not exist.
func explainRange(text string) (msg, hint string) {
	switch {
	case strings.HasPrefix(text, "[:"):
		return text + " is not a class", "there are [:alnum:], [:alpha:], [:ascii:], [:blank:], [:cntrl:], " +
			"[:digit:], [:graph:], [:lower:], [:print:], [:punct:], [:space:], [:upper:], [:word:] and [:xdigit:]"
	case strings.HasPrefix(text, `\p`), strings.HasPrefix(text, `\P`):
		return text + " is not a class of Unicode", `write a category or a script, such as \pL, \p{Lu} or \p{Greek}`
	}
	return text + " is not a valid range", `write the lower character first, and \- for the character -`
}
