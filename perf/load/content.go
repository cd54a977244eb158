package load

import (
	"bytes"
	"math/rand/v2"
	"strconv"
)

// What is asked for, and what the upstream must answer, so that every answer can be checked.
const (
	AnswerPath = "/answer" // one response with Body
	StreamPath = "/stream" // a chunked response without end, made of pieces
	FieldsPath = "/fields" // the field lines of the request as they came
	// AcceptedPath is answered with how many connections were accepted so far, not counting those that ask for it.
	AcceptedPath = "/accepted"
	BodyBytes    = 100
	PieceBytes   = 32
)

// Body is what the named service answers.
func Body(service string) []byte {
	body := bytes.Repeat([]byte{'.'}, BodyBytes)
	copy(body, "service "+service+" ")
	return body
}

// AppendPiece appends piece n of a stream, counted from 0.
func AppendPiece(b []byte, n int) []byte {
	piece := [PieceBytes]byte{PieceBytes - 1: '\n'}
	for i := PieceBytes - 2; i >= 0; i-- {
		piece[i] = '0' + byte(n%10)
		n /= 10
	}
	return append(b, piece[:]...)
}

// PatternPeriod is after how many bytes a large body repeats itself: a prime, so that no buffer's size is a multiple.
const PatternPeriod = 4093

// Pattern is the first n bytes of every large body: letters in no order.
func Pattern(n int) []byte {
	random := rand.New(rand.NewPCG(1, 2))
	b := make([]byte, n)
	for i := range min(n, PatternPeriod) {
		b[i] = 'a' + byte(random.IntN(26))
	}
	for done := PatternPeriod; done < n; done *= 2 {
		copy(b[done:], b[:done])
	}
	return b
}

// AppendUploaded appends the BodyBytes bytes that an upload of n bytes is answered with.
func AppendUploaded(b []byte, n int64) []byte {
	end := len(b) + BodyBytes
	b = append(strconv.AppendInt(append(b, "received "...), n, 10), " bytes "...)
	for len(b) < end {
		b = append(b, '.')
	}
	return b
}
