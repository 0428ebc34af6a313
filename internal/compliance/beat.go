package compliance

import (
	"bytes"
	"time"
)

// scanBeat gives what the body of a check.beat says, without decoding it: a year
// has thousands of them with a line for each check, and decoding these would be
// most of the work of telling how a control stood. Bodies are canonical JSON
// (members in order, no space), so there is one form. Of another one scanBeat
// says false, and the caller decodes.
func scanBeat(body []byte, ran func(check string, s Span)) bool {
	if !bytes.HasPrefix(body, []byte(`{"action":"check.beat",`)) {
		return false
	}
	_, rest, found := bytes.Cut(body, []byte(`"runs":[`)) // within a string its quotes would be escaped
	s := scanner{rest: rest, failed: !found || bytes.Contains(rest, []byte(`"runs":[`))}
	for first := true; !s.failed && !s.has(`]`); first = false {
		if !first {
			s.want(`,`)
		}
		s.want(`{"check":"`)
		check := s.upTo('"')
		s.want(`,"count":`)
		s.digits()
		s.want(`,"from":"`)
		from := s.time()
		s.want(`,"to":"`)
		to := s.time()
		s.want(`}`)
		if !s.failed {
			ran(string(check), Span{from, to})
		}
	}
	return !s.failed
}

// scanner reads what it is told to expect.
type scanner struct {
	rest   []byte
	failed bool
}

func (s *scanner) has(text string) bool {
	rest, ok := bytes.CutPrefix(s.rest, []byte(text))
	s.rest = rest
	return ok
}

func (s *scanner) want(text string) { s.failed = !s.has(text) || s.failed }

// upTo reads to an end, and over it. What is escaped is not read.
func (s *scanner) upTo(end byte) []byte {
	n := bytes.IndexByte(s.rest, end)
	if n < 0 || bytes.IndexByte(s.rest[:n], '\\') >= 0 {
		s.failed = true
		return nil
	}
	out := s.rest[:n]
	s.rest = s.rest[n+1:]
	return out
}

func (s *scanner) digits() {
	rest := bytes.TrimLeft(s.rest, "0123456789")
	s.failed = s.failed || len(rest) == len(s.rest)
	s.rest = rest
}

func (s *scanner) time() (t time.Time) {
	text := s.upTo('"')
	s.failed = s.failed || t.UnmarshalText(text) != nil
	return t
}
