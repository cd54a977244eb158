package hello

import "testing"

// TestAllocations wants none, whatever a hello is asked.
func TestAllocations(t *testing.T) {
	message := chrome().message()
	one, many := stream(message), records(message, 100)
	scratch := make([]byte, MaxMessage)
	b, h := new(Board), new(Hello)
	for what, f := range map[string]func(){
		"one record": func() { scanAndParse(one, nil) },
		"records":    func() { scanAndParse(many, scratch) },
		"offer": func() {
			*h = scanAndParse(one, nil)
			b.Show(h, message, true)
		},
		"fault": func() {
			var s Scanner
			if s.Feed([]byte("GET / HTTP/1.1\r\n")) != PlainHTTP {
				panic("no HTTP")
			}
		},
	} {
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s: %v allocations", what, n)
		}
	}
}

func scanAndParse(stream, scratch []byte) (h Hello) {
	var s Scanner
	if code := s.Feed(stream); code != OK {
		panic(code.String())
	}
	if code := h.Parse(s.Message(stream, scratch)); code != OK {
		panic(code.String())
	}
	return h
}

func BenchmarkHello(b *testing.B) {
	message := chrome().message()
	one, many := stream(message), records(message, 100)
	scratch := make([]byte, MaxMessage)
	h := scanAndParse(one, nil)
	board := new(Board)
	var out [JA4Bytes]byte
	for _, c := range []struct {
		name string
		f    func()
	}{
		{"one-record", func() { h = scanAndParse(one, nil) }},
		{"18-records", func() { h = scanAndParse(many, scratch) }},
		{"offer", func() { board.Show(&h, message, false) }},
		{"ja4", func() { h.JA4(message, OverTCP, &out) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				c.f()
			}
		})
	}
}
