package drivertest

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/strongroom/strongroom/internal/driver"
)

// query reads the lines of a query that does not follow.
func (b *bench) query(q driver.LogQuery) []driver.LogLine {
	b.Helper()
	q.Space = b.space.ID
	r, err := b.driver.Logs(b.Context(), q)
	b.must("logs", err)
	defer r.Close()
	var lines []driver.LogLine
	for dec := json.NewDecoder(r); ; {
		var l driver.LogLine
		if err := dec.Decode(&l); err == io.EOF {
			return lines
		} else if err != nil {
			b.Fatalf("read logs: %v", err)
		}
		lines = append(lines, l)
	}
}

// wantLog waits until a process of the app has logged the line.
func (b *bench) wantLog(app, text string) {
	b.Helper()
	var lines []driver.LogLine
	for deadline := time.Now().Add(b.Patience); time.Now().Before(deadline); time.Sleep(b.Patience / 250) {
		lines = b.query(driver.LogQuery{App: app, Lines: 1000, Source: "app"})
		if slices.ContainsFunc(lines, func(l driver.LogLine) bool { return l.Text == text }) {
			return
		}
	}
	b.Fatalf("no log line %q in %+v", text, lines)
}

func texts(lines []driver.LogLine) []string {
	var list []string
	for _, l := range lines {
		list = append(list, l.Text)
	}
	return list
}

func logs(b *bench) {
	begun := time.Now().Add(-time.Second)
	t := b.task("lines 5", "say "+strings.Repeat("x", 12_000), "say end")
	t.Attach, t.Name = false, "run.42"
	_, err := b.driver.StartTask(b.Context(), t)
	b.must("start task", err)
	b.wantLog(t.Labels.App, "end")

	app := driver.LogQuery{App: t.Labels.App, Source: "app"}
	app.Lines = 100
	all := b.query(app)
	if len(all) < 7 || all[0].Text != "line 1 of 5" {
		b.Fatalf("lines %q", texts(all))
	}
	for i, l := range all {
		if l.Dyno != "run.42" || l.Source != "app" || l.Time.Before(begun) || l.ID == "" || len(l.Text) > 10_000 {
			b.Errorf("line %d is %.200v", i, l)
		}
	}
	app.Lines = 1
	if got := texts(b.query(app)); !slices.Equal(got, []string{"end"}) {
		b.Errorf("the newest line is %q", got)
	}
	app.Lines, app.After = 0, all[1].ID
	if got := texts(b.query(app)); len(got) != len(all)-2 || got[0] != "line 3 of 5" {
		b.Errorf("after the second: %.200q", got)
	}
	app.After, app.Lines = "", 100
	for dyno, want := range map[string]int{"run": len(all), "run.42": len(all), "run.4": 0, "web": 0} {
		app.Dyno = dyno
		if got := b.query(app); len(got) != want {
			b.Errorf("%d lines of dyno %q, want %d", len(got), dyno, want)
		}
	}
}

func followsLogs(b *bench) {
	f := b.worker("say one", "sleep "+b.Settle.String(), "say two", "wait")
	b.apply(f)
	ctx, cancel := context.WithTimeout(b.Context(), b.Patience)
	defer cancel()
	r, err := b.driver.Logs(ctx, driver.LogQuery{Space: b.space.ID, App: f.Labels.App, Lines: 10, Follow: true, Source: "app"})
	b.must("follow logs", err)
	defer r.Close()
	dec := json.NewDecoder(r)
	for _, want := range []string{"one", "two"} {
		var l driver.LogLine
		if err := dec.Decode(&l); err != nil || l.Text != want || l.Dyno != "worker.1" {
			b.Fatalf("%+v, %v; want %q", l, err, want)
		}
	}
	ended := make(chan error, 1)
	go func() {
		var l driver.LogLine
		err := dec.Decode(&l)
		if err == nil {
			err = fmt.Errorf("another line: %+v", l)
		}
		ended <- err
	}()
	select {
	case err := <-ended:
		b.Fatalf("following ended by itself: %v", err)
	case <-time.After(b.Settle):
	}
	cancel()
	select {
	case <-ended:
	case <-time.After(b.Patience):
		b.Error("following goes on after its context has ended")
	}
}
