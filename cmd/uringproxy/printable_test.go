package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"unicode"

	"github.com/uringproxy/uringproxy/admin"
)

// nasty has what clears a screen, in seven and in eight bits, a line of its own, and what turns the direction of text.
const nasty = "x\x1b[2J\u009b2J\nforged line\r\u202e\U000e0001"

// fill makes every text in v nasty.
func fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(nasty)
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				fill(v.Field(i))
			}
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range v.Len() {
			fill(v.Index(i))
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem())
	}
}

// answersWith answers every request on a socket with a body, and returns its address.
func answersWith(t *testing.T, code int, body any) string {
	t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "a.sock"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = http.ReadRequest(bufio.NewReader(c))
			fmt.Fprintf(c, "HTTP/1.1 %d x\r\nContent-Length: %d\r\n\r\n", code, len(text))
			_, _ = c.Write(text)
			c.Close()
		}
	}()
	return "unix:" + l.Addr().String()
}

// However an answer is filled, nothing that a terminal obeys is printed, and no line that is not ours.
func TestAnswersArePrintable(t *testing.T) {
	var status, healthy admin.Status
	fill(reflect.ValueOf(&status).Elem())
	healthy = status
	healthy.Refused = nil
	var failed, done admin.Reloaded
	fill(reflect.ValueOf(&failed).Elem())
	done = failed
	done.Reload.OK = true
	failed.Reload.Faults = failed.Reload.Faults[:1]
	failed.Reload.Faults[0].Excerpt = "  1 | \x1b[2J\n    | \t^\n"
	excerpt := "  1 | ?[2J\n    | \t^\n"
	var figures admin.Metrics
	fill(reflect.ValueOf(&figures).Elem())
	for _, tt := range []struct {
		code    int
		body    any
		command string
		want    string
	}{
		{200, healthy, "status", "x?[2J?2J?forged line"},
		{200, status, "status", "NOT IN FORCE"},
		{200, status, "status --format json", `x\u001b[2J\u009b2J\nforged line\r\u202e\udb40\udc01`},
		{200, done, "reload", "reloaded in"},
		{422, failed, "reload", excerpt},
		{400, admin.Problem{Error: nasty, Hint: nasty}, "status", "x?[2J"},
		{400, admin.Problem{Error: nasty, Hint: nasty}, "reload", "x?[2J"},
		{400, admin.Problem{Error: nasty, Hint: nasty}, "top --once", "x?[2J"},
		{200, nasty, "status", "no uringproxy"},
	} {
		args := append(strings.Fields(tt.command), "--admin", answersWith(t, tt.code, tt.body))
		_, stdout, stderr := call(args...)
		text := stdout + stderr
		if !strings.Contains(text, tt.want) {
			t.Errorf("%s: no %q in\n%s", tt.command, tt.want, text)
		}
		for i, r := range text {
			if r != '\n' && r != '\t' && !unicode.IsPrint(r) {
				t.Errorf("%s: %q in %q", tt.command, r, text[max(i-20, 0):i])
				break
			}
		}
		faults := strings.Contains(text, "NOT IN FORCE") // with excerpts, in which lines end
		if !faults && (strings.HasPrefix(text, "forged") || strings.Contains(text, "\nforged")) {
			t.Errorf("%s: a forged line in\n%s", tt.command, text)
		}
	}
	if p := (picture{now: &figures}); strings.ContainsAny(p.title(), "\x1b\u009b\n") {
		t.Errorf("%q", p.title())
	}
}

func TestEscapedIsTheSame(t *testing.T) {
	var b strings.Builder
	in := map[string]string{nasty: "µs, 日本, \\ \" \U0001f600\x7f"}
	if err := writeJSON(escaped{&b}, in); err != nil {
		t.Fatal(err)
	}
	var out map[string]string
	if err := json.Unmarshal([]byte(b.String()), &out); err != nil || !reflect.DeepEqual(in, out) {
		t.Errorf("%v, %q", err, b.String())
	}
	if n, err := (escaped{io.Discard}).Write([]byte("\x7f")); n != 1 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
}

// What took longer than the last bound is said to have.
func TestLongestSpans(t *testing.T) {
	a := activity{name: "app", requests: 2, duration: admin.Distribution{Count: 2, Buckets: [][2]uint64{
		{uint64(admin.LongestSpan), 1}, {uint64(admin.LongestSpan) + 1, 1},
	}}}
	p := picture{shown: &interval{seconds: 1}}
	if row := p.serviceRow(&a); !strings.Contains(row, "≤60.0s") || strings.Count(row, ">60s") != 2 {
		t.Error(row)
	}
}
