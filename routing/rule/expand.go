package rule

import "errors"

// Expansion is a rule as alternatives.
type Expansion struct {
	Alternatives []Alternative
	// Impossible says, for each alternative that was left out because nothing can fit it, why.
	Impossible []string
}

// MaxAlternatives bounds what one rule may expand to.
const MaxAlternatives = 1 << 16

// Expand turns e into alternatives. The error says that there would be more than MaxAlternatives.
func (e *Expr) Expand() (Expansion, error) {
	return Expansion{}, errors.New("expand rule: no alternatives")
}
