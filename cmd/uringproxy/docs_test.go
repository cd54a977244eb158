package main

import (
	"flag"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write what the examples of the documentation print into it, to be looked at")

// block cuts the first code block of a language off a document.
func block(doc, language string) (before, text, rest string, ok bool) {
	before, rest, ok = strings.Cut(doc, "```"+language+"\n")
	text, rest, _ = strings.Cut(rest, "```\n")
	return before, text, rest, ok
}

// split cuts a command into words as a shell does, as far as the documentation needs it.
func split(line string) (all []string) {
	for i, part := range strings.Split(line, "'") {
		if i%2 == 1 {
			all = append(all, part)
		} else {
			all = append(all, strings.Fields(part)...)
		}
	}
	return all
}

// TestDocsShowWhatIsPrinted runs the examples of docs/check-and-explain.md.
func TestDocsShowWhatIsPrinted(t *testing.T) {
	file := document(t, "check-and-explain.md")
	_, config, rest, _ := block(read(t, file), "toml")
	_, secure, rest, _ := block(rest, "toml")
	_, hello, rest, _ := block(rest, "text")
	_, streams, _, _ := block(rest, "toml")
	t.Chdir(t.TempDir())
	write(t, "my.toml", config)
	write(t, "secure.toml", secure)
	write(t, "till.hex", hello)
	write(t, "streams.toml", streams)
	examples(t, file, 12, func(command string) string {
		_, stdout, stderr := call(split(strings.TrimPrefix(command, "uringproxy "))...)
		return stderr + stdout
	})
}

// document is a file of the documentation.
func document(t *testing.T, name string) string {
	t.Helper()
	file, err := filepath.Abs(filepath.Join("../../docs", name))
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// examples compares what the examples of a document show with what run prints; there are some at least.
func examples(t *testing.T, file string, least int, run func(command string) string) {
	t.Helper()
	var made strings.Builder
	n := 0
	for rest := read(t, file); ; n++ {
		before, example, after, ok := block(rest, "console")
		if !ok {
			made.WriteString(rest)
			break
		}
		command, shown, _ := strings.Cut(strings.TrimPrefix(example, "$ "), "\n")
		printed := run(command)
		if printed != shown && !*update {
			t.Errorf("%s prints\n%s\nbut the documentation shows\n%s", command, printed, shown)
		}
		made.WriteString(before + "```console\n$ " + command + "\n" + printed + "```\n")
		rest = after
	}
	if n < least {
		t.Errorf("only %d examples", n)
	}
	if *update {
		write(t, file, made.String())
	}
}

// TestDocsShowWhatIsAnswered runs the examples of docs/admin.md with a process that the test makes up.
func TestDocsShowWhatIsAnswered(t *testing.T) {
	at, stop := answerAt(t, &made{}, "127.0.0.1:0", "")
	defer stop()
	clock := regexp.MustCompile(`(?m)^\d\d:\d\d:\d\d `)
	examples(t, document(t, "admin.md"), 4, func(command string) string {
		if url, ok := strings.CutPrefix(command, "curl -s "); ok {
			return fetch(t, strings.Replace(url, "127.0.0.1:9901", at, 1))
		}
		_, stdout, stderr := call(append(split(strings.TrimPrefix(command, "uringproxy ")), "--admin", at)...)
		return stderr + clock.ReplaceAllString(stdout, "12:00:00 ")
	})
}

// fetch is the body that a GET request for a URL gets.
func fetch(t *testing.T, url string) string {
	t.Helper()
	res, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}
