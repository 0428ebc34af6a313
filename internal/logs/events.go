package logs

import (
	"bufio"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/strongroom/strongroom/internal/driver"
)

// timeFormat is that of Heroku's log lines.
const timeFormat = "2006-01-02T15:04:05.000000-07:00"

// events writes Server-Sent Events.
type events struct {
	out     *bufio.Writer
	control *http.ResponseController
}

func newEvents(w http.ResponseWriter) *events {
	return &events{out: bufio.NewWriterSize(w, 16<<10), control: http.NewResponseController(w)}
}

// begin lets the client see that the stream is open. A server's ReadTimeout
// would end it, as that of a request which takes so long: it is lifted.
func (e *events) begin() error {
	return errors.Join(e.control.SetReadDeadline(time.Time{}), e.flush())
}

// line sends a line as one event, in Heroku's format.
func (e *events) line(line driver.LogLine) error {
	if err := e.deadline(); err != nil {
		return err
	}
	if line.ID != "" {
		e.write("id: ", oneLine(line.ID), "\n")
	}
	e.write("data: ", Format(line), "\n")
	return e.write("\n")
}

// comment shows a client that has nothing to read that the stream is alive,
// and us whether the client is.
func (e *events) comment() error {
	if err := e.deadline(); err != nil {
		return err
	}
	return e.write(":\n\n")
}

// write passes parts on; the first error stays for all that follow.
func (e *events) write(parts ...string) (err error) {
	for _, part := range parts {
		_, err = e.out.WriteString(part)
	}
	return err
}

func (e *events) flush() error {
	if err := e.deadline(); err != nil {
		return err
	}
	return errors.Join(e.out.Flush(), e.control.Flush())
}

func (e *events) deadline() error {
	return e.control.SetWriteDeadline(time.Now().Add(writeTime))
}

// Format writes a line as Heroku's log lines are written:
//
//	2026-11-23T04:05:06.000000+00:00 app[web.1]: text
//
// The result is always one line. A carriage return in the text, which would end
// a line of the event stream and could forge one on a terminal, is shown as
// U+240D; at the text's end, where it is part of a line end, it is left out.
func Format(line driver.LogLine) string {
	dyno := line.Dyno
	if dyno == "" {
		dyno = "platform"
	}
	return line.Time.UTC().Format(timeFormat) + " " + oneLine(line.Source) + "[" + oneLine(dyno) + "]: " +
		oneLine(strings.TrimSuffix(line.Text, "\r"))
}

func oneLine(s string) string {
	if !strings.ContainsAny(s, "\r\n\x00") {
		return s
	}
	return strings.NewReplacer("\r", "\u240d", "\n", "\u240a", "\x00", "\u2400").Replace(s)
}
