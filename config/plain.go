package config

import "strings"

// plain says in the words of a user what a message of the TOML library is about.
type plain struct {
	message               string // a part of the library's message
	ends                  string // how the line ends, where that tells more; "" fits any line
	found, expected, hint string
}

const (
	aPair    = `"key = value"`
	aValue   = `a value, such as "text" or 42`
	unclosed = "a string without its closing quote"
	sameLine = "a quote before the end of the line"
	needs    = "text needs quotes"
)

// inPlainWords translates the library's message about line; the first entry that fits is used.
func inPlainWords(message, line string) (plain, bool) {
	for _, p := range translations {
		if strings.Contains(message, p.message) && strings.HasSuffix(line, p.ends) {
			return p, true
		}
	}
	return plain{}, false
}

var translations = []plain{
	// Other people's languages, by the first line that cannot be TOML.
	{"expected '.' or '='", ":", "a colon after a key", aPair, "this looks like YAML; configuration is TOML"},
	{"expected '.' or '='", "{", "a block in braces", "a table header such as [listeners.web]",
		"this looks like nginx or HCL; configuration is TOML"},
	{"expected '.' or '='", ";", "a directive that ends with a semicolon", aPair,
		"this looks like nginx; configuration is TOML"},
	{"keys cannot start", "", "a key that begins with a dot", "a name before the dot", ""},

	{"expected '.' or '='", "", "no equals sign after the key", aPair, "a key with blanks or signs in it needs quotes"},
	{"key name appears blank", "", "an equals sign without a key", aPair, ""},
	{`expected value but found '\n'`, "", "no value after the equals sign", aValue, ""},
	{"unexpected EOF; expected value", "", "no value after the equals sign", aValue, ""},
	{"expected value but found", "", "a value that is not a string, number, list or table", aValue, needs},
	{"expected a digit", "", "a value that begins like a number", "a number", needs},
	{"floats must start with", "", "a value that begins with a dot", aValue, needs},
	{"invalid datetime", "", "a value that begins like a date", aValue, needs},
	{"expected a top-level item to end", "", "more text after a complete value", "the end of the line",
		"text with blanks, colons or units needs quotes around all of it"},

	{"strings cannot contain newlines", "", unclosed, sameLine, ""},
	{`unexpected EOF; expected '"'`, "", unclosed, sameLine, ""},
	{`unexpected EOF; expected "'"`, "", unclosed, sameLine, ""},
	{`unexpected EOF; expected '"""'`, "", unclosed, `""" after the text`, ""},
	{`unexpected EOF; expected "'''"`, "", unclosed, "''' after the text", ""},
	{"invalid escape", "", "a backslash that begins no escape", `"\\" for a backslash, or single quotes`, ""},
	{"control characters", "", "a control character", "printable text", "is there something invisible in the line?"},

	{"array terminator", "", "a list that goes on without a comma", `"," before the next item, or "]" at the end`, ""},
	{"table terminator", "", "a table that goes on without a comma", `"," before the next key, or "}" at the end`, ""},
	{"unexpected comma", "", "a comma without an item before it", "an item", ""},
	{"end table name", "", "a table header that does not end", `"]" after the table's name`, ""},
	{"table array name delimiter", "", "a table header that does not end", `"]]" after the table's name`, ""},
	{"table names cannot be empty", "", "a table header without a name", "a name, as in [listeners.web]", ""},

	{"has already been defined", "", "a second definition of the same key", "each key and each table once",
		"join the two, or give one another name"},
	{"was already created", "", "a key that is both a value and a table", "one of the two", ""},
}
