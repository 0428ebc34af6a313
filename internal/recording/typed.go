package recording

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"time"
	"unicode"
	"unicode/utf8"
)

// Typed writes what was typed in a recorded session as text: one line for each
// line that was entered, with the time of its first key. Nothing is left out or
// undone: an erased word is there, followed by ^? for each key that erased it,
// so that what was typed and taken back can be seen too.
func Typed(r io.Reader, w io.Writer) error {
	rd, err := NewReader(r)
	if err != nil {
		return err
	}
	t := typist{w: bufio.NewWriter(w)}
	for {
		event, err := rd.Next()
		if errors.Is(err, io.EOF) {
			t.newline()
			return t.w.Flush()
		} else if err != nil {
			return err
		}
		if event.Code == codeInput {
			t.keys(event.At, event.Data)
		}
	}
}

// typist writes keys as lines. Errors stay in w until Flush.
type typist struct {
	w    *bufio.Writer
	line bool   // a line was begun
	rest []byte // of a character whose bytes came in two events
}

func (t *typist) keys(at time.Duration, b []byte) {
	b = append(t.rest, b...)
	t.rest = nil
	for len(b) > 0 {
		t.begin(at)
		if !utf8.FullRune(b) {
			t.rest = append([]byte{}, b...)
			return
		}
		c, size := utf8.DecodeRune(b)
		t.key(c, b[:size])
		b = b[size:]
	}
}

func (t *typist) begin(at time.Duration) {
	if !t.line {
		t.line = true
		fmt.Fprintf(t.w, "%s  ", clock(at))
	}
}

func (t *typist) key(c rune, raw []byte) {
	switch {
	case c == '\r' || c == '\n':
		t.newline()
	case c < 0x20:
		t.w.WriteString("^" + string('@'+c))
	case c == 0x7f:
		t.w.WriteString("^?")
	case c == utf8.RuneError && len(raw) == 1:
		fmt.Fprintf(t.w, `\x%02x`, raw[0])
	case unicode.IsPrint(c):
		t.w.Write(raw)
	default:
		fmt.Fprintf(t.w, `\u{%x}`, c)
	}
}

func (t *typist) newline() {
	for _, c := range t.rest {
		fmt.Fprintf(t.w, `\x%02x`, c)
	}
	t.rest = nil
	if t.line {
		t.w.WriteByte('\n')
	}
	t.line = false
}

// clock formats a time since the start as 01:02:03.456.
func clock(d time.Duration) string {
	ms := d.Milliseconds()
	return fmt.Sprintf("%02d:%02d:%02d.%03d", ms/3600000, ms/60000%60, ms/1000%60, ms%1000)
}
