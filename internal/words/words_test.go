package words

import "testing"

func TestCount(t *testing.T) {
	for n, want := range map[int][2]string{
		0: {"0 routes", "0 routes"}, 1: {"1 route", "1 route"}, 999: {"999 routes", "999 routes"},
		1200: {"1200 routes", "1,200 routes"}, 1234567: {"1234567 routes", "1,234,567 routes"},
	} {
		if got := Count(n, "route"); got != want[0] {
			t.Errorf("Count(%d) = %q, want %q", n, got, want[0])
		}
		if got := GroupedCount(n, "route"); got != want[1] {
			t.Errorf("GroupedCount(%d) = %q, want %q", n, got, want[1])
		}
	}
}

func TestGroupDigits(t *testing.T) {
	for number, want := range map[string]string{
		"": "", "7": "7", "-7": "-7", "999": "999", "-999": "-999", "1000": "1,000", "-1000": "-1,000",
		"1000000": "1,000,000", "1234.5678": "1,234.5678", "-123456.75": "-123,456.75", "0.0001": "0.0001",
	} {
		if got := GroupDigits(number); got != want {
			t.Errorf("GroupDigits(%q) = %q, want %q", number, got, want)
		}
	}
}

func TestPrintable(t *testing.T) {
	const text = "a\x1b[2J\tb\nc\u202e\xff…é"
	for _, c := range []struct {
		keep    string
		instead rune
		want    string
	}{
		{"", '?', "a?[2J?b?c?\ufffd…é"},
		{"\n\t", Dropped, "a[2J\tb\nc\ufffd…é"},
		{"\t", ' ', "a [2J\tb c \ufffd…é"},
	} {
		if got := Printable(text, c.keep, c.instead); got != c.want {
			t.Errorf("Printable(keep %q, instead %q) = %q, want %q", c.keep, c.instead, got, c.want)
		}
	}
}
