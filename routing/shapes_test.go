package routing

import (
	"fmt"
	"math/rand/v2"
	"strconv"

	"github.com/uringproxy/uringproxy/routing/rule"
)

// shape is a family of tables of any size: rule number i of n, and the request that takes it.
type shape struct {
	name    string
	rule    func(i int) *rule.Expr
	request func(i int) *Request
	most    int // routes up to which it is measured
}

// match1 is a rule of one matcher.
func match1(kind rule.Kind, name, value string) *rule.Expr {
	e, _, err := rule.Match(kind, name, value)
	if err != nil {
		panic(err)
	}
	return e
}

func get(host, path string, fields ...Field) *Request {
	return &Request{Host: []byte(host), Path: []byte(path), Method: []byte("GET"), Fields: fields}
}

// field is what a browser sends, and one field more.
func withField(name, value string) []Field {
	fields := []Field{{[]byte("Host"), []byte("example.com")}}
	for _, n := range []string{"User-Agent", "Accept", "Accept-Language", "Accept-Encoding", "Referer", "Cookie"} {
		fields = append(fields, Field{[]byte(n), []byte("something as long as what browsers say in such a field")})
	}
	return append(fields, Field{[]byte(name), []byte(value)})
}

// deepPath is a path of ten segments; routes stand at all depths.
func deepPath(i, depth int) string {
	path := ""
	for level := range depth {
		path += "/s" + strconv.Itoa(level) + "-" + strconv.Itoa(i>>(9-level)%7+i%(level+2))
	}
	return path + "/" + strconv.Itoa(i)
}

const million = 1_000_000

var shapes = []shape{
	{"hosts", func(i int) *rule.Expr {
		return match1(rule.Host, "", fmt.Sprintf("h%d.example.com", i))
	}, func(i int) *Request { return get(fmt.Sprintf("h%d.example.com", i), "/some/page") }, million},
	{"prefixes", func(i int) *rule.Expr {
		return match1(rule.PathPrefix, "", fmt.Sprintf("/tenant-%d/api", i))
	}, func(i int) *Request { return get("example.com", fmt.Sprintf("/tenant-%d/api/users/1", i)) }, million},
	{"deep", func(i int) *rule.Expr {
		return match1(rule.PathPrefix, "", deepPath(i, 1+i%9))
	}, func(i int) *Request { return get("example.com", deepPath(i, 1+i%9)+"/x") }, million},
	{"wildcards", func(i int) *rule.Expr {
		return match1(rule.Host, "", fmt.Sprintf("*.t%d.example.com", i))
	}, func(i int) *Request { return get(fmt.Sprintf("www.t%d.example.com", i), "/some/page") }, million},
	{"regexes", func(i int) *rule.Expr {
		return match1(rule.PathRegexp, "", fmt.Sprintf("^/svc-%d/[a-z]+/[0-9]+$", i))
	}, func(i int) *Request { return get("example.com", fmt.Sprintf("/svc-%d/users/42", i)) }, million},
	{"headers", func(i int) *rule.Expr {
		return match1(rule.Header, "X-Tenant", fmt.Sprintf("t%d", i))
	}, func(i int) *Request {
		return get("example.com", "/", withField("X-Tenant", fmt.Sprintf("t%d", i))...)
	}, million},
	{"header-names", func(i int) *rule.Expr {
		return match1(rule.Header, fmt.Sprintf("X-Tenant-%d", i), "1")
	}, func(i int) *Request {
		return get("example.com", "/", withField(fmt.Sprintf("X-Tenant-%d", i), "1")...)
	}, 100_000},
	{"loose-regexes", func(i int) *rule.Expr {
		return match1(rule.PathRegexp, "", fmt.Sprintf("widget-%d-[a-z]+", i))
	}, func(i int) *Request { return get("example.com", fmt.Sprintf("/shop/items/widget-%d-blue/x", i)) }, 10_000},
}

// build makes the table of the first n routes of a shape.
func (s *shape) build(n int) (*Builder, *Table) {
	b := NewBuilder()
	for i := range n {
		if err := b.Set(Route{Name: strconv.Itoa(i), Rule: s.rule(i), Target: i}); err != nil {
			panic(err)
		}
	}
	t, err := b.Build()
	if err != nil {
		panic(err)
	}
	return b, t
}

// requests are many requests for random routes among n; one of five finds none.
func (s *shape) requests(n, many int) (all []*Request, want []int) {
	rnd := rand.New(rand.NewPCG(1, 1))
	for range many {
		i := rnd.IntN(n)
		target := i
		if rnd.IntN(5) == 0 {
			i += n
			target = -1
		}
		all = append(all, s.request(i))
		want = append(want, target)
	}
	return all, want
}
