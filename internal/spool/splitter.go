package spool

import (
	"bytes"
	"unicode/utf8"
)

// maxText is Heroku's limit: what is longer becomes several lines.
const maxText = 10_000

// splitter cuts a stream of bytes into lines of at most max bytes, without
// their newlines. A longer line is cut, between characters where it has any.
type splitter struct {
	max  int
	rest []byte // the line that has begun
}

// split passes the lines that b completes to emit, which must not keep them.
func (s *splitter) split(b []byte, emit func(line []byte)) {
	for {
		i := bytes.IndexByte(b, '\n')
		if i < 0 {
			break
		}
		line := b[:i]
		if len(s.rest) > 0 {
			line = append(s.rest, line...)
			s.rest = line[:0]
		}
		emit(s.cut(line, 0, emit))
		b = b[i+1:]
	}
	if len(b) == 0 {
		return
	}
	s.rest = append(s.rest, b...)
	// What is to come may belong to the character at the cut.
	left := s.cut(s.rest, utf8.UTFMax-1, emit)
	s.rest = s.rest[:copy(s.rest, left)]
}

// cut emits max bytes at a time while line is longer than that by more than
// slack, and returns what is left.
func (s *splitter) cut(line []byte, slack int, emit func(line []byte)) []byte {
	for len(line) > s.max+slack {
		n := boundary(line, s.max)
		emit(line[:n])
		line = line[n:]
	}
	return line
}

// boundary returns where to cut b: at most max, and not inside a character.
func boundary(b []byte, max int) int {
	for back := 1; back < utf8.UTFMax && back < max; back++ {
		start := max - back
		if !utf8.RuneStart(b[start]) {
			continue
		}
		// The last character that begins before max: does it end before it too?
		if _, size := utf8.DecodeRune(b[start:]); start+size > max {
			return start
		}
		break
	}
	return max
}

// clean returns line as valid UTF-8 without NUL: each invalid byte becomes
// U+FFFD; other control characters stay. It may return line itself.
func clean(line []byte) []byte {
	if utf8.Valid(line) && bytes.IndexByte(line, 0) < 0 {
		return line
	}
	text := make([]byte, 0, len(line)+64)
	for len(line) > 0 {
		r, size := utf8.DecodeRune(line)
		if r != 0 {
			text = utf8.AppendRune(text, r)
		}
		line = line[size:]
	}
	return text
}
