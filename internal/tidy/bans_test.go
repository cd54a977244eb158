package tidy

import (
	"fmt"
	"go/ast"
	"path"
	"slices"
	"strings"
	"testing"
)

// dataPlane are the packages whose code runs on a shard's thread.
var dataPlane = []string{
	"engine", "engine/mem", "engine/uring", "engine/epoll", "engine/udp", "shard", "proxy", "proxy/h1",
	"proxy/proxyproto", "accesslog", "metrics", "tls/alert", "tls/hello", "tls/record",
}

// ban is something that the data plane may not use, and what it uses instead.
type ban struct {
	name    string   // an import path, or a package's function
	instead string   // the rest of the sentence "use …"
	allowed []string // packages or files (by path without .go) where it may be used all the same
}

var bannedImports = []ban{
	{"net/http", "proxy/h1: our parsers are what the project is for", nil},
	{"net", "net/netip for addresses, and engine.Backend for sockets", nil},
	{"encoding/json", "accesslog's appending encoder", nil},
	{"reflect", "a type known at compile time", nil},
	{"context", "a deadline in the shard's timer wheel", nil},
	{"log", "a counter in metrics, or the access log's ring", nil},
	{"log/slog", "a counter in metrics, or the access log's ring", nil},
	{"regexp", "a hand-written matcher, or a table that routing compiled", nil},
	{"sync", "state that one shard owns; the mailbox to reach another", []string{"shard/mailbox", "metrics"}},
	{"os/signal", "server, which tells the shards through their mailboxes", nil},
}

var bannedCalls = []ban{
	{"time.Now", "the shard's clock, read once a turn", []string{"shard/clock"}},
	{"time.Since", "the shard's clock, read once a turn", []string{"shard/clock"}},
	{"time.Until", "the shard's clock, read once a turn", []string{"shard/clock"}},
	{"time.Sleep", "the timer wheel", nil},
	{"time.After", "the timer wheel", nil},
	{"time.AfterFunc", "the timer wheel", nil},
	{"time.Tick", "the timer wheel", nil},
	{"time.NewTimer", "the timer wheel", nil},
	{"time.NewTicker", "the timer wheel", nil},
	{"fmt.Print", "metrics, or an error for the caller", nil},
	{"fmt.Println", "metrics, or an error for the caller", nil},
	{"fmt.Printf", "metrics, or an error for the caller", nil},
	{"fmt.Sprint", "bytes appended to memory that is there", nil},
	{"fmt.Sprintf", "bytes appended to memory that is there", []string{
		"engine/uring/bufring", "engine/uring/ring_giouring", "engine/uring/setup", // errors of Open
	}},
	{"fmt.Fprintf", "bytes appended to memory that is there", nil},
	{"fmt.Append", "strconv's appending functions", nil},
	{"fmt.Appendf", "strconv's appending functions", nil},
	{"sync.Pool", "a slab or a free list that the shard owns", nil},
	{"sync.Map", "a snapshot that is swapped", nil},
	{"os.Exit", "an error for the caller", nil},
}

// concurrency is where the data plane may start goroutines and use channels: a shard's own start and stop.
var concurrency = []string{"shard"}

func (b ban) applies(f *file) bool {
	return !slices.Contains(b.allowed, f.pkg) && !slices.Contains(b.allowed, strings.TrimSuffix(f.path, ".go"))
}

// checkBans finds what a file of the data plane may not use.
func checkBans(f *file) []fault {
	if f.test || !slices.Contains(dataPlane, f.pkg) {
		return nil
	}
	var faults []fault
	for _, spec := range f.tree.Imports {
		for _, b := range bannedImports {
			if spec.Path.Value == `"`+b.name+`"` && b.applies(f) {
				faults = append(faults, f.fault(spec.Pos(), fmt.Sprintf("import of %s: use %s", b.name, b.instead)))
			}
		}
	}
	ast.Inspect(f.tree, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.SelectorExpr:
			faults = append(faults, checkSelector(f, n)...)
		case *ast.GoStmt:
			if !slices.Contains(concurrency, f.pkg) {
				faults = append(faults, f.fault(n.Pos(), "go statement: a shard is one thread; others are server's"))
			}
		case *ast.ChanType, *ast.SelectStmt:
			if !slices.Contains(concurrency, f.pkg) {
				faults = append(faults, f.fault(n.Pos(), "channel: use the shard's mailbox"))
			}
		}
		return true
	})
	return faults
}

func checkSelector(f *file, n *ast.SelectorExpr) []fault {
	x, ok := n.X.(*ast.Ident)
	if !ok {
		return nil
	}
	for _, b := range bannedCalls {
		pkg, name, _ := strings.Cut(b.name, ".")
		if n.Sel.Name == name && x.Name == localName(f, pkg) && b.applies(f) {
			return []fault{f.fault(n.Pos(), fmt.Sprintf("%s: use %s", b.name, b.instead))}
		}
	}
	return nil
}

// localName is the name under which f knows a package; "" when it does not import it.
func localName(f *file, imported string) string {
	for _, spec := range f.tree.Imports {
		if spec.Path.Value != `"`+imported+`"` {
			continue
		}
		if spec.Name != nil {
			return spec.Name.Name
		}
		return path.Base(imported)
	}
	return ""
}

// pure are the packages that compute and do nothing else: the same input gives the same output, at any time, anywhere.
var pure = []string{
	"proxy/h1", "proxy/proxyproto", "tls/alert", "tls/hello", "tls/record",
	"routing", "routing/rule", "routing/regset", "routing/urlpath", "plan",
}

// effects are the imports by which a package would touch the world.
var effects = []string{
	"os", "os/exec", "io", "io/fs", "bufio", "net", "net/http", "sync", "syscall", "math/rand", "math/rand/v2",
	"golang.org/x/sys/unix", "runtime",
}

// checkPurity finds imports of a pure package that have effects. plan may name a time.Duration.
func checkPurity(f *file) []fault {
	if f.test || !slices.Contains(pure, f.pkg) {
		return nil
	}
	var faults []fault
	for i, imported := range f.imports() {
		if slices.Contains(effects, imported) || imported == "time" && f.pkg != "plan" {
			text := fmt.Sprintf("import of %s: package %s is pure, let its caller do that", imported, f.pkg)
			faults = append(faults, f.fault(f.tree.Imports[i].Pos(), text))
		}
	}
	return faults
}

func TestPurePackages(t *testing.T) {
	for _, f := range goFiles(t) {
		report(t, checkPurity(f))
	}
}

func TestDataPlaneBans(t *testing.T) {
	for _, f := range goFiles(t) {
		report(t, checkBans(f))
	}
}

func TestBansFindFaults(t *testing.T) {
	expect(t, checkBans, "proxy/x.go", `package proxy

import (
	"fmt"
	"net/http" // bad
	"net/netip"
	"sync" // bad
	"sync/atomic"
	clock "time"
)

func f() {
	_ = clock.Now() // bad
	_ = clock.Second
	go f() // bad
	var c chan int // bad
	fmt.Println(c) // bad
	time := netip.Addr{}
	time.Now()
}
`)
	expect(t, checkBans, "shard/mailbox.go", "package shard\n\nimport \"sync\"\n\nfunc f() { go f() }\n")
	expect(t, checkPurity, "routing/x.go", "package routing\n\nimport (\n\t\"fmt\"\n\t\"os\" // bad\n)\n")
	expect(t, checkBans, "control/x.go", "package control\n\nimport \"net/http\"\n")
}
