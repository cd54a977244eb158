package result

import "testing"

func TestSpreadOf(t *testing.T) {
	for _, c := range []struct {
		in   []float64
		want Spread
	}{
		{nil, Spread{}},
		{[]float64{3}, Spread{3, 3, 3, 1}},
		{[]float64{4, 1, 2}, Spread{2, 1, 4, 3}},
		{[]float64{4, 1, 2, 3}, Spread{2.5, 1, 4, 4}},
	} {
		if got := SpreadOf(c.in); got != c.want {
			t.Errorf("SpreadOf(%v) = %v, expected %v", c.in, got, c.want)
		}
	}
}

func TestRatiosAreOfTheSameRound(t *testing.T) {
	a := []Round{{Cost: 1}, {Cost: 4}, {Cost: 9}}
	b := []Round{{Cost: 2}, {Cost: 0}, {Cost: 3}, {Cost: 1}}
	if got, want := Ratios(a, b), (Spread{1.75, 0.5, 3, 2}); got != want {
		t.Errorf("got %v, expected %v", got, want)
	}
}

func TestMiddleLeavesTheEndsOut(t *testing.T) {
	for _, c := range []struct {
		in   []float64
		want Spread
	}{
		{nil, Spread{}},
		{[]float64{3, 1, 2}, Spread{2, 1, 3, 3}},
		{[]float64{4, 100, 1, 3}, Spread{3.5, 3, 4, 2}},
		{[]float64{9, 5, 1, 6, 7, 100, 4, 3, 8}, Spread{6, 4, 8, 5}},
	} {
		if got := Middle(c.in); got != c.want {
			t.Errorf("Middle(%v) = %v, expected %v", c.in, got, c.want)
		}
	}
}
