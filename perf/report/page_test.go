package report

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"math"
	"os"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/uringproxy/uringproxy/perf/result"
)

var pageFile = flag.String("page", "", "write the sample's page to this `file`, to look at it")

// render is a run's page, read once to see that it is one.
func render(t testing.TB, r *result.Run) string {
	t.Helper()
	var b bytes.Buffer
	if err := HTML(&b, r); err != nil {
		t.Fatal(err)
	}
	checkPage(t, b.String())
	return b.String()
}

// checkPage reads a page as XML, which is stricter than any browser, and finds what no page may have.
func checkPage(t testing.TB, text string) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(text))
	ids, level, scripts := map[string]bool{}, 0, 0
	var links []string
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("page is not well-formed: %v", err)
		}
		element, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		switch name := element.Name.Local; name {
		case "script":
			scripts++
		case "h1", "h2", "h3":
			if n := int(name[1] - '0'); n > level+1 {
				t.Errorf("heading %s after one of level %d", name, level)
			} else {
				level = n
			}
		case "link", "img", "iframe", "object", "embed", "base", "form", "image", "use":
			t.Errorf("element %s", name)
		}
		for _, a := range element.Attr {
			switch a.Name.Local {
			case "id":
				if ids[a.Value] {
					t.Errorf("id %q twice", a.Value)
				}
				ids[a.Value] = true
			case "href":
				links = append(links, a.Value)
			case "src", "srcset", "style", "action", "onload", "onerror":
				t.Errorf("attribute %s=%q", a.Name.Local, a.Value)
			}
		}
	}
	for _, l := range links {
		if target, ok := strings.CutPrefix(l, "#"); !ok || !ids[target] {
			t.Errorf("link to %q leads out of the page", l)
		}
	}
	if scripts != 1 {
		t.Errorf("%d scripts", scripts)
	}
	if m := notNumbers.FindString(text); m != "" {
		t.Errorf("%q in the page", m)
	}
}

// notNumbers find what fmt and strconv make of values that are no number. The policy's hash may have such letters.
var notNumbers = regexp.MustCompile(`[>(\s"]([+-]?Inf|NaN)[<)\s"%]`)

// show is a run in every form at once.
func show(t testing.TB, r *result.Run) (page, tables string) {
	t.Helper()
	var b bytes.Buffer
	Table(&b, r, narrowWidth)
	Table(&b, r, wideWidth)
	if m := notNumbers.FindString(b.String()); m != "" {
		t.Errorf("%q in a table", m)
	}
	if err := JSON(io.Discard, r); err != nil {
		t.Error(err)
	}
	return render(t, r), b.String()
}

func TestPageHasEverything(t *testing.T) {
	page := render(t, sample(t))
	for _, text := range []string{
		"<title>uringproxy 0.4.0 beside nginx, haproxy and traefik</title>", `<html lang="en">`, `name="viewport"`,
		"<b>0.75</b> of nginx", "uringproxy bench --rounds 7 --seconds 2", "6.18.44", "nginx/1.31.5", "go1.26.8",
		"noisy: others used 9 % of its core", "404 instead of 200", "keepalive 1024;", "connection reset by peer",
		"share core 1", "prefers-color-scheme: dark", "@media print", "99.99 %", "logarithmic scale",
		"74,300 requests/s, found in 5 steps",
	} {
		if !strings.Contains(page, text) {
			t.Errorf("page without %q", text)
		}
	}
	if *pageFile != "" {
		if err := os.WriteFile(*pageFile, []byte(page), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestPageNeedsNothingElse(t *testing.T) {
	page := render(t, sample(t))
	script := regexp.MustCompile(`(?s)<script>(.*)</script>`).FindStringSubmatch(page)
	if script == nil {
		t.Fatal("no script")
	}
	sum := sha256.Sum256([]byte(script[1]))
	hash := base64.StdEncoding.EncodeToString(sum[:])
	if !strings.Contains(strings.ReplaceAll(page, "&#43;", "+"), hash) {
		t.Errorf("the page's policy does not allow its own script, which has the hash %s", hash)
	}
	if m := regexp.MustCompile(`url\(|@import|https?://`).FindString(pageStyle + pageScript + pageText); m != "" {
		t.Errorf("%q in the page: it must load nothing", m)
	}
}

// fill puts text into every string of a value.
func fill(v reflect.Value, text string) {
	switch v.Kind() {
	case reflect.String:
		if v.CanSet() {
			v.SetString(v.String() + text)
		}
	case reflect.Pointer:
		fill(v.Elem(), text)
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Field(i).CanSet() {
				fill(v.Field(i), text)
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			fill(v.Index(i), text)
		}
	}
}

func TestTextIsNothingButText(t *testing.T) {
	const hostile = "\"'><script>alert(1)</script><!--</style>{{.}}\x1b[31m\x00\u202e\xff\r\n${1}`"
	r := sample(t)
	r.Peers = append([]result.Peer(nil), r.Peers...) // its strings change
	fill(reflect.ValueOf(r), hostile)
	for i := range r.Scenarios {
		for j := range r.Scenarios[i].Cells {
			c := &r.Scenarios[i].Cells[j]
			renamed := map[string]result.Spread{}
			for peer, s := range c.Ratios {
				renamed[peer+hostile] = s
			}
			c.Ratios, c.Unclear = renamed, map[string]string{"nginx" + hostile: hostile}
		}
	}
	page, tables := show(t, r)
	if strings.Contains(page, "<script>alert") || strings.Count(page, "</script>") != 1 {
		t.Error("a script of somebody else is in the page")
	}
	if strings.Contains(page, "</style>{{") {
		t.Error("a style sheet ends early")
	}
	if !strings.Contains(page, "&lt;script&gt;alert(1)&lt;/script&gt;") {
		t.Error("hostile text is not shown as it is")
	}
	for _, bad := range []string{"\x1b", "\x00", "\u202e", "\r"} {
		if strings.Contains(tables, bad) || strings.Contains(page, bad) {
			t.Errorf("control character %q is shown", bad)
		}
	}
}

func TestRunsWithoutFigures(t *testing.T) {
	for name, change := range map[string]func(*result.Run){
		"nothing":        func(r *result.Run) { *r = result.Run{} },
		"no scenarios":   func(r *result.Run) { r.Scenarios = nil },
		"no peers":       func(r *result.Run) { r.Peers = nil },
		"nobody of ours": func(r *result.Run) { r.Peers = r.Peers[2:] },
		"only ours":      func(r *result.Run) { r.Peers = r.Peers[:2] },
		"one core":       func(r *result.Run) { r.Machine.Cores, r.Machine.LoadCore = 1, 0 },
		"no cells":       func(r *result.Run) { r.Scenarios[0].Cells = nil },
		"cells twice": func(r *result.Run) {
			r.Scenarios[0].Cells = append(r.Scenarios[0].Cells, r.Scenarios[0].Cells...)
		},
		"a unit of later": func(r *result.Run) { r.Scenarios[0].Unit = "µs/handshake" },
		"empty cells":     func(r *result.Run) { eachCell(r, func(c *result.Cell) { *c = result.Cell{Peer: c.Peer} }) },
		"no histograms":   func(r *result.Run) { eachCell(r, func(c *result.Cell) { c.Histogram = "" }) },
		"bad histograms":  func(r *result.Run) { eachCell(r, func(c *result.Cell) { c.Histogram = "HISTF" }) },
		"no rounds":       func(r *result.Run) { eachCell(r, func(c *result.Cell) { c.Rounds = nil }) },
	} {
		t.Run(name, func(t *testing.T) {
			r := sample(t)
			r.Scenarios = r.Scenarios[3:6]
			change(r)
			show(t, r)
		})
	}
}

func eachCell(r *result.Run, fn func(*result.Cell)) {
	for i := range r.Scenarios {
		for j := range r.Scenarios[i].Cells {
			fn(&r.Scenarios[i].Cells[j])
		}
	}
}

// TestNothingUnreliableIsShown finds no digit of a cell that failed or was noisy, whoever else is measured against it.
func TestNothingUnreliableIsShown(t *testing.T) {
	spread := result.Spread{Median: 777, Low: 776, High: 778, Count: 3}
	spoil := func(c *result.Cell) {
		c.Cost, c.Throughput, c.BytesRate, c.P50, c.P99 = spread, spread, spread, spread, spread
		c.P999, c.Max, c.Memory, c.Errors = spread, spread, spread, 777
		c.Ratios = map[string]result.Spread{"nginx": spread, "uringproxy-uring": spread}
		c.At, c.Rate, c.Histogram = c.Ratios, 777, ""
		c.Rounds = []result.Round{{Requests: 777, Cost: 777, P99: 777, CPU: 777}}
	}
	for _, say := range []func(*result.Cell){
		func(c *result.Cell) { c.Problem = "crashed" },
		func(c *result.Cell) {
			c.Noisy, c.Unclear = "too much else", map[string]string{"nginx": "it", "uringproxy-uring": "it"}
		},
	} {
		for _, peer := range []string{"uringproxy-uring", "nginx", ""} {
			r := sample(t)
			r.Scenarios = r.Scenarios[3:7]
			eachCell(r, func(c *result.Cell) {
				if s, ok := c.Ratios[peer]; ok && s.Known() {
					c.Ratios[peer] = spread
				}
				if peer == "" || c.Peer == peer {
					spoil(c)
					say(c)
				}
			})
			page, tables := show(t, r)
			for _, text := range []string{page, tables} {
				if i := strings.Index(text, "777"); i >= 0 {
					t.Errorf("figures of %q are shown: %q", peer, text[max(0, i-80):i+10])
				}
			}
		}
	}
}

// A ratio that is not clear is put into words, and its two proxies' own figures are shown.
func TestUnclearRatiosAreNotShown(t *testing.T) {
	ratio := result.Spread{Median: .777, Low: .776, High: .778, Count: 3}
	for _, s := range []int{0, 5} { // a closed loop, and a fixed rate
		r := sample(t)
		r.Scenarios = r.Scenarios[s : s+1]
		c := &r.Scenarios[0].Cells[0]
		c.Ratios["nginx"], c.Unclear = ratio, map[string]string{"nginx": "the\x1b rounds disagree"}
		if c.At != nil {
			c.At["nginx"] = ratio
		}
		page, tables := show(t, r)
		for _, text := range []string{page, tables} {
			words := strings.Join(strings.Fields(text), " ")
			if strings.Contains(text, "0.777") || strings.Contains(text, "0.78") {
				t.Errorf("scenario %d: the ratio is shown", s)
			}
			if !strings.Contains(words, "no ratio to nginx: the rounds disagree") {
				t.Errorf("scenario %d: it is not said why there is no ratio:\n%s", s, text)
			}
			if cost := figure(c.Cost.Median); !strings.Contains(text, cost) {
				t.Errorf("scenario %d: without the figure %s", s, cost)
			}
		}
	}
}

// At a fixed rate a ratio does not have the rounds in it that make its cell noisy.
func TestRatioOfANoisyCell(t *testing.T) {
	for s, shown := range map[int]bool{0: false, 5: true} {
		r := sample(t)
		r.Scenarios = r.Scenarios[s : s+1]
		c := &r.Scenarios[0].Cells[0]
		c.Noisy, c.Ratios["haproxy"] = "too much else", result.Spread{Median: .5512, Low: .5512, High: .5512, Count: 3}
		if _, tables := show(t, r); strings.Contains(tables, "0.55") != shown {
			t.Errorf("scenario %d:\n%s", s, tables)
		}
	}
}

func TestExtremeValues(t *testing.T) {
	values := []float64{math.NaN(), math.Inf(1), math.Inf(-1), math.MaxFloat64, -math.MaxFloat64, 1e18, 5e-324,
		1e-9, 0, -1}
	for i, x := range values {
		for _, y := range []float64{x, values[(i+1)%len(values)], values[(i+4)%len(values)]} {
			r := sample(t)
			r.Scenarios = r.Scenarios[:3]
			s := result.Spread{Median: x, Low: y, High: x, Count: 2}
			r.Seconds = x
			eachCell(r, func(c *result.Cell) {
				c.Cost, c.Throughput, c.BytesRate, c.P50, c.P99, c.P999, c.Max, c.Memory = s, s, s, s, s, s, s, s
				for peer := range c.Ratios {
					c.Ratios[peer] = s
				}
				c.Histogram = ""
				for i := range c.Rounds {
					c.Rounds[i].CPU, c.Rounds[i].Cost, c.Rounds[i].Foreign = x, y, x
				}
			})
			show(t, r)
		}
	}
}

func TestLongConfigurationsAreAbridged(t *testing.T) {
	r := sample(t)
	var b strings.Builder
	for i := range 20000 {
		b.WriteString("route " + strconv.Itoa(i) + "\n")
	}
	r.Scenarios[0].Cells[2].Config = b.String()
	r.Scenarios[0].Cells[3].Config = strings.Repeat("x", 1<<20)
	page := render(t, r)
	if len(page) > 1<<20 || !strings.Contains(page, "route 119\n… 19,860 lines are left out here …\nroute 19980\n") {
		t.Errorf("page of %d bytes; the middle is not left out", len(page))
	}
}

func TestSameConfigurationsAreShownOnce(t *testing.T) {
	cell := func(folder, port, more string) []result.Cell {
		text := "pid /tmp/x/" + folder + "/p.pid\nlisten 127.0.0.1:" + port + "\n" + more
		return []result.Cell{{Peer: "p", Config: text}}
	}
	got := configsOf(&result.Run{Peers: []result.Peer{{Name: "p"}}, Scenarios: []result.Scenario{
		{Name: "a", Cells: cell("a", "1001", "")}, {Name: "b", Cells: cell("b", "1002", "")},
		{Name: "c", Cells: cell("c", "1003", "keepalive 2;")},
	}})
	if len(got) != 2 || got[0].Scenarios != "a, b" || got[1].Scenarios != "c" ||
		!strings.Contains(got[0].Text, "1001") {
		t.Errorf("configurations %+v", got)
	}
}

// TestContrast keeps to WCAG AA: 4.5 for text, 3 for what is drawn, on every ground and in both schemes.
func TestContrast(t *testing.T) {
	variable := regexp.MustCompile(`--([a-z0-9-]+): #([0-9a-f]{6});`)
	light, rest, _ := strings.Cut(pageStyle, "@media screen and (prefers-color-scheme: dark)")
	dark, _, _ := strings.Cut(rest, "\n}\n")
	for scheme, text := range map[string]string{"light": light, "dark": dark} {
		colours := map[string]float64{}
		for _, m := range variable.FindAllStringSubmatch(text, -1) {
			colours[m[1]] = luminance(t, m[2])
		}
		check := func(least float64, grounds []string, names ...string) {
			for _, ground := range grounds {
				for _, name := range names {
					a, b := colours[name], colours[ground]
					if c := (max(a, b) + .05) / (min(a, b) + .05); c < least || a == b {
						t.Errorf("%s: %s on %s has a contrast of %.2f, below %.1f", scheme, name, ground, c, least)
					}
				}
			}
		}
		check(4.5, []string{"ground", "raised", "own-tint"}, "text", "muted", "link")
		check(3, []string{"ground", "own-tint"}, "own0", "own1", "peer0", "peer1", "peer2", "peer3", "peer4", "one")
	}
}

func luminance(t *testing.T, hex string) float64 {
	t.Helper()
	n, err := strconv.ParseUint(hex, 16, 32)
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for i, weight := range []float64{.0722, .7152, .2126} {
		x := float64(n>>(8*i)&255) / 255
		if x <= .04045 {
			x /= 12.92
		} else {
			x = math.Pow((x+.055)/1.055, 2.4)
		}
		sum += weight * x
	}
	return sum
}

func FuzzShow(f *testing.F) {
	f.Add([]byte(`{"version":"1","peers":[{"name":"a","ours":true},{"name":"b"}],"scenarios":[{"name":"s","cells":[` +
		`{"peer":"a","cost":{"median":1,"low":2,"high":0,"count":3},"ratios":{"b":{"median":1e9,"count":1}}},` +
		`{"peer":"b","cost":{"median":1e300,"count":1}}]}]}`))
	f.Add([]byte(`{"peers":[{"name":""},{"name":"","ours":true}],"scenarios":[{"cells":[{"noisy":"noisy"}]}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		if r, err := Read(bytes.NewReader(text)); err == nil {
			show(t, r)
		}
	})
}
