package pack

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"strconv"

	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/ledger"
)

// maxLine bounds a line of ledger/bodies.
const maxLine = 4 << 20

// source reads ledger/headers and ledger/bodies side by side, for
// ledger.Stream: each header with its body, if that comes next.
type source struct {
	ranges  []ledger.Range // the front one holds the next entry
	next    int64
	headers *lines
	bodies  *lines
	body    bodyLine // the next one
	bodyErr error    // why there is none: io.EOF, or what is wrong with the line

	// What follows the last entry, if anything; valid when the stream has ended.
	headersTail, bodiesTail error
}

// bodyLine is a line of ledger/bodies taken apart. It is valid until the next.
type bodyLine struct {
	seq  int64
	salt [ledger.SaltSize]byte
	body []byte
}

func newSource(ranges []ledger.Range, headers, bodies io.Reader) *source {
	s := &source{ranges: ranges, headers: newLines(headers, ledger.MaxHeader), bodies: newLines(bodies, maxLine)}
	if len(s.ranges) > 0 {
		s.next = s.ranges[0].From
	}
	s.readBody(-1)
	return s
}

// fill is the first half of ledger.Stream. Only errors that are not about the
// pack's bytes end it; the others go with the line that they concern.
func (s *source) fill(b *ledger.Batch) (more bool, err error) {
	for !b.Full() && len(s.ranges) > 0 {
		line := b.Add(s.next)
		ok, err := s.fillLine(b, line)
		if !ok || err != nil {
			return false, err
		}
		if s.next++; s.next == s.ranges[0].To {
			if s.ranges = s.ranges[1:]; len(s.ranges) > 0 {
				s.next = s.ranges[0].From
			}
		}
	}
	if len(s.ranges) > 0 {
		return true, nil
	}
	return false, s.readTail()
}

// fillLine reads the header and the body of line.Seq. It returns false if
// nothing can follow.
func (s *source) fillLine(b *ledger.Batch, line *ledger.Line) (bool, error) {
	header, err := s.headers.next()
	if err != nil {
		if line.HeaderErr = err; errors.Is(err, io.EOF) {
			line.HeaderErr = fault.New(fault.Invalid, "the header is missing: the file ends before it")
		}
		return false, ioError(line.HeaderErr)
	}
	line.Header = b.Bytes(len(header))
	copy(line.Header, header)
	switch {
	case errors.Is(s.bodyErr, io.EOF):
	case s.bodyErr != nil:
		line.BodyErr = s.bodyErr
		return true, ioError(s.bodyErr)
	case s.body.seq == line.Seq:
		line.Framed = b.Bytes(ledger.FrameSize + len(s.body.body))
		copy(line.Framed[ledger.FrameSize:], s.body.body)
		line.Salt = s.body.salt
		s.readBody(line.Seq)
	case s.body.seq < line.Seq:
		line.BodyErr = errStrayBody(s.body.seq)
	}
	return true, nil
}

// ioError returns err if it is not about the pack's bytes.
func ioError(err error) error {
	var refusal *Refusal
	if err == nil || errors.As(err, &refusal) || fault.Of(err) != "" {
		return nil
	}
	return err
}

// bodyError is an error about a body that need not belong to the header beside it.
type bodyError struct {
	err error // a fault
	seq int64
}

func (e *bodyError) Error() string { return e.err.Error() }
func (e *bodyError) Unwrap() error { return e.err }

func badBody(seq int64, format string, args ...any) error {
	return &bodyError{fault.New(fault.Invalid, format, args...), seq}
}

func errStrayBody(seq int64) error {
	return badBody(seq, "the body's header is not in the pack")
}

// readTail looks for what follows the last entry.
func (s *source) readTail() error {
	if _, err := s.headers.next(); !errors.Is(err, io.EOF) {
		if s.headersTail = err; err == nil {
			s.headersTail = fault.New(fault.Invalid, "there are more headers than the ranges have entries")
		}
	}
	if s.bodiesTail = s.bodyErr; s.bodyErr == nil {
		s.bodiesTail = errStrayBody(s.body.seq)
	} else if errors.Is(s.bodyErr, io.EOF) {
		s.bodiesTail = nil
	}
	return errors.Join(ioError(s.headersTail), ioError(s.bodiesTail))
}

// readBody reads the next line of ledger/bodies, which must be of a later entry
// than last.
func (s *source) readBody(last int64) {
	line, err := s.bodies.next()
	if err != nil {
		s.bodyErr = err
		return
	}
	if s.body, s.bodyErr = splitBody(line); s.bodyErr == nil && s.body.seq <= last {
		s.bodyErr = badBody(s.body.seq, "the body is behind that of entry %d", last)
	}
}

// splitBody takes a line apart: `<seq> <salt> <body>`.
func splitBody(line []byte) (bodyLine, error) {
	first, rest, ok1 := bytes.Cut(line, []byte(" "))
	salt64, body, ok2 := bytes.Cut(rest, []byte(" "))
	seq, err := strconv.ParseInt(string(first), 10, 64)
	if !ok1 || !ok2 || err != nil || seq < 0 || strconv.FormatInt(seq, 10) != string(first) {
		return bodyLine{}, badBody(noSeq, "a line is not `<seq> <salt> <body>`")
	}
	out := bodyLine{seq: seq, body: body}
	var buf [ledger.SaltSize + 2]byte
	if len(salt64) != base64.StdEncoding.EncodedLen(ledger.SaltSize) {
		return bodyLine{}, badBody(seq, "the salt is not 16 bytes of base64")
	}
	if n, err := base64.StdEncoding.Strict().Decode(buf[:], salt64); err != nil || n != ledger.SaltSize {
		return bodyLine{}, badBody(seq, "the salt is not 16 bytes of base64")
	}
	copy(out.salt[:], buf[:])
	return out, nil
}

// lines splits a file into lines of bounded length, each with its newline.
type lines struct {
	in    *bufio.Reader
	limit int
	long  []byte // a line that is longer than in's buffer
}

func newLines(in io.Reader, limit int) *lines {
	return &lines{in: bufio.NewReaderSize(in, 64<<10), limit: limit}
}

// next returns a line without its newline, valid until the next call.
func (l *lines) next() ([]byte, error) {
	l.long = l.long[:0]
	for {
		part, err := l.in.ReadSlice('\n')
		if len(l.long)+len(part) > l.limit+1 {
			return nil, fault.New(fault.Invalid, "a line is longer than %d bytes", l.limit)
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			l.long = append(l.long, part...)
		case errors.Is(err, io.EOF) && len(l.long)+len(part) > 0:
			return nil, fault.New(fault.Invalid, "the last line has no newline")
		case err != nil:
			return nil, err
		case len(l.long) > 0:
			l.long = append(l.long, part...)
			return l.long[:len(l.long)-1], nil
		default:
			return part[:len(part)-1], nil
		}
	}
}
