package memory

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/strongroom/strongroom/internal/driver"
	"github.com/strongroom/strongroom/internal/driver/pipe"
	"github.com/strongroom/strongroom/internal/fault"
)

// maxLine is the longest text of a line.
const maxLine = 10_000

// maxLines is how many lines the engine remembers.
const maxLines = 100_000

type line struct {
	space, app string
	driver.LogLine
}

// log adds a line; d.mu is held.
func (d *Driver) log(p *process, text string) {
	id := "000000000000"
	if n := len(d.lines); n > 0 {
		id = d.lines[n-1].ID
	}
	var seq int
	fmt.Sscanf(id, "%d", &seq)
	source := p.labels.Source
	if source == "" {
		source = "app"
	}
	d.lines = append(d.lines, line{space: p.space, app: p.labels.App, LogLine: driver.LogLine{
		ID: fmt.Sprintf("%012d", seq+1), Time: time.Now().UTC(), Source: source, Dyno: p.dyno, Text: text[:min(len(text), maxLine)],
	}})
	if len(d.lines) > maxLines {
		d.lines = d.lines[len(d.lines)-maxLines:]
	}
	d.changed.Broadcast()
}

func (l line) matches(q driver.LogQuery) bool {
	return l.space == q.Space && l.app == q.App && (q.Source == "" || q.Source == l.Source) &&
		(q.Dyno == "" || q.Dyno == l.Dyno || strings.HasPrefix(l.Dyno, q.Dyno+"."))
}

// Logs implements driver.Driver.
func (d *Driver) Logs(ctx context.Context, q driver.LogQuery) (io.ReadCloser, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, err := d.space(q.Space); err != nil {
		return nil, err
	}
	past, last := d.past(q)
	out := &logReader{Pipe: pipe.New(1 << 20), driver: d}
	ctx, out.stop = context.WithCancel(ctx)
	context.AfterFunc(ctx, func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.changed.Broadcast()
	})
	go d.follow(ctx, q, out, past, last)
	return out, nil
}

// RemoveLogs implements driver.Driver.
func (d *Driver) RemoveLogs(_ context.Context, space string) error {
	if err := driver.CheckID("space", space); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.spaces[space] != nil {
		return fault.New(fault.Conflict, "The space %s is still there.", space)
	}
	d.lines = slices.DeleteFunc(d.lines, func(l line) bool { return l.space == space })
	return nil
}

// past returns the lines that a query begins with, and the id of the newest.
func (d *Driver) past(q driver.LogQuery) (lines []line, last string) {
	for _, l := range d.lines {
		last = l.ID
		if l.matches(q) && (q.After == "" || l.ID > q.After) {
			lines = append(lines, l)
		}
	}
	if q.After == "" {
		lines = lines[max(0, len(lines)-q.Lines):]
	}
	return lines, last
}

func (d *Driver) follow(ctx context.Context, q driver.LogQuery, out *logReader, lines []line, last string) {
	defer out.End(nil)
	enc := json.NewEncoder(out)
	for {
		for _, l := range lines {
			if enc.Encode(l.LogLine) != nil {
				return
			}
		}
		if !q.Follow {
			return
		}
		if lines, last = d.next(ctx, q, last); lines == nil {
			return
		}
	}
}

// next waits for lines after last; nil when ctx or the engine has ended.
func (d *Driver) next(ctx context.Context, q driver.LogQuery, last string) ([]line, string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for ctx.Err() == nil && !d.closed {
		var lines []line
		for _, l := range d.lines {
			if l.ID > last {
				last = l.ID
				if l.matches(q) {
					lines = append(lines, l)
				}
			}
		}
		if lines != nil {
			return lines, last
		}
		d.changed.Wait()
	}
	return nil, last
}

type logReader struct {
	*pipe.Pipe
	driver *Driver
	stop   context.CancelFunc
}

// Close ends the following.
func (r *logReader) Close() error {
	r.stop()
	return r.Pipe.Close()
}
