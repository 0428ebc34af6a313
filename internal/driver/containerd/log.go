package containerd

import (
	"context"
	"io"
	"time"

	"github.com/strongroom/strongroom/internal/driver"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/spool"
)

// Logs implements driver.Driver.
func (d *Driver) Logs(ctx context.Context, q driver.LogQuery) (io.ReadCloser, error) {
	if err := d.knownSpace(q.Space); err != nil {
		return nil, err
	}
	return d.cfg.Logs.Logs(ctx, q)
}

// RemoveLogs implements driver.Driver.
func (d *Driver) RemoveLogs(ctx context.Context, space string) error {
	if err := driver.CheckID("space", space); err != nil {
		return err
	}
	if d.knownSpace(space) == nil {
		return fault.New(fault.Conflict, "The space %s is still there.", space)
	}
	return d.cfg.Logs.RemoveSpace(ctx, space)
}

// saidAtOnce is how many of the platform's lines may wait for spool.
const saidAtOnce = 4096

// say writes a line of the platform's own about a dyno. It never waits: when
// too many lines do, this one is lost.
func (d *Driver) say(r record, text string) {
	line := spool.Line{Space: r.Space, App: r.Labels.App, Source: "heroku", Dyno: r.Dyno, Text: text, Time: time.Now().UTC()}
	select {
	case d.said <- line:
	default:
		d.log.Warn("log line lost", "dyno", r.Dyno)
	}
}

// writeLines hands the lines to spool in order.
func (d *Driver) writeLines() {
	for {
		select {
		case line := <-d.said:
			ctx, cancel := context.WithTimeout(d.ctx, 5*time.Second)
			if err := d.cfg.Logs.Write(ctx, line); err != nil && d.ctx.Err() == nil {
				d.log.Warn("log line lost", "dyno", line.Dyno, "err", err)
			}
			cancel()
		case <-d.ctx.Done():
			return
		}
	}
}
