package load

import (
	"bytes"
	"fmt"
)

// What is asked for, and what the upstream must answer, so that every answer can be checked.
const (
	AnswerPath = "/answer" // one response with Body
	StreamPath = "/stream" // a chunked response without end, made of pieces
	BodyBytes  = 100
	PieceBytes = 32
)

// Body is what the named service answers.
func Body(service string) []byte {
	body := bytes.Repeat([]byte{'.'}, BodyBytes)
	copy(body, "service "+service+" ")
	return body
}

// AppendPiece appends piece n of a stream, counted from 0.
func AppendPiece(b []byte, n int) []byte {
	return fmt.Appendf(b, "%0*d\n", PieceBytes-1, n)
}
