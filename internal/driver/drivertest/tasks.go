package drivertest

import (
	"bufio"
	"context"
	"io"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/strongroom/strongroom/internal/driver"
	"github.com/strongroom/strongroom/internal/fault"
)

func tasks(b *bench) {
	t := b.task("say working", "exit 7")
	t.Attach = false
	s, err := b.driver.StartTask(b.Context(), t)
	b.must("start task", err)
	ctx, cancel := context.WithTimeout(b.Context(), b.Patience)
	defer cancel()
	for range 2 {
		exit, err := s.Wait(ctx)
		b.must("wait", err)
		if exit.Code != 7 || exit.OOMKilled {
			b.Errorf("exit %+v, want code 7", exit)
		}
	}
	b.must("close session", s.Close())
	b.wantLog(t.Labels.App, "working")
	b.eventually("the ended task", func(o driver.Observation) bool {
		for _, seen := range o.Tasks {
			if seen.ID == t.ID && !seen.Running {
				if seen.Exit == nil || seen.Exit.Code != 7 || seen.App != t.Labels.App || seen.Name != t.Name {
					b.Errorf("observed as %+v", seen)
				}
				return true
			}
		}
		return false
	})
	_, err = b.driver.StartTask(b.Context(), t)
	b.wantFault("start the same task again", err, fault.Conflict)
	b.must("stop an ended task", b.driver.StopTask(b.Context(), t.ID))
	b.must("stop an unknown task", b.driver.StopTask(b.Context(), uuid.NewString()))
}

func attachedTask(b *bench) {
	t := b.task("env FLAVOUR", "env DYNO", "cat", "say bye")
	t.Process.Env = []driver.EnvVar{{Name: "FLAVOUR", Value: "vanilla = nice"}}
	s, err := b.driver.StartTask(b.Context(), t)
	b.must("start task", err)
	if _, err := io.WriteString(s, "first\nsecond\n"); err != nil {
		b.Fatal(err)
	}
	b.must("close input", s.CloseWrite())
	out, exit := b.finish(s)
	if want := "FLAVOUR=vanilla = nice\nDYNO=run.1\nfirst\nsecond\nbye\n"; out != want || exit.Code != 0 {
		b.Errorf("output %q, exit %+v; want %q", out, exit, want)
	}

	// More output than any buffer holds arrives whole.
	out, _ = b.run(b.task("lines 20000"))
	if n := strings.Count(out, "\n"); n != 20000 || !strings.HasSuffix(out, "line 20000 of 20000\n") {
		b.Errorf("%d lines, want 20000", n)
	}
}

func terminal(b *bench) {
	t := b.task("size")
	t.TTY, t.Rows, t.Cols = true, 24, 80
	s, err := b.driver.StartTask(b.Context(), t)
	b.must("start task", err)
	defer s.Close()
	timer := time.AfterFunc(b.Patience, func() { s.Close() })
	defer timer.Stop()
	out := bufio.NewReader(s)
	b.wantLine(out, "size 24x80")
	b.must("resize", s.Resize(50, 132))
	b.wantLine(out, "size 50x132")
}

// wantLine reads until the line comes.
func (b *bench) wantLine(r *bufio.Reader, want string) {
	b.Helper()
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			b.Fatalf("waiting for %q: %v", want, err)
		}
		if strings.TrimRight(line, "\r\n") == want {
			return
		}
	}
}

func taskTimeout(b *bench) {
	t := b.task("wait")
	t.Attach = false
	t.Timeout = b.Settle
	s, err := b.driver.StartTask(b.Context(), t)
	b.must("start task", err)
	if _, exit := b.finish(s); exit.Code != 143 && exit.Code != 137 {
		b.Errorf("exit %+v, want that of a signal", exit)
	}
}

func stopsTask(b *bench) {
	t := b.task("say up", "wait")
	t.Attach = false
	s, err := b.driver.StartTask(b.Context(), t)
	b.must("start task", err)
	b.wantLog(t.Labels.App, "up")
	b.must("stop task", b.driver.StopTask(b.Context(), t.ID))
	if _, exit := b.finish(s); exit.Code != 143 {
		b.Errorf("exit %+v, want code 143", exit)
	}
}

func closesSession(b *bench) {
	t := b.task("deaf", "say up", "sleep 1h")
	s, err := b.driver.StartTask(b.Context(), t)
	b.must("start task", err)
	b.wantLine(bufio.NewReader(s), "up")
	b.must("close session", s.Close())
	b.eventually("the end of the task", func(o driver.Observation) bool { return !b.taskRuns(o, t.ID) })

	detached := b.task("sleep 1h")
	detached.Attach = false
	s, err = b.driver.StartTask(b.Context(), detached)
	b.must("start task", err)
	b.must("close session", s.Close())
	time.Sleep(b.Settle)
	o, err := b.driver.Observe(b.Context())
	b.must("observe", err)
	if !b.taskRuns(o, detached.ID) {
		b.Error("closing the session of a task that is not attached ended it")
	}
}

func (b *bench) taskRuns(o driver.Observation, id string) bool {
	for _, t := range o.Tasks {
		if t.ID == id {
			return t.Running
		}
	}
	b.Errorf("task %s is not observed", id)
	return false
}

func execs(b *bench) {
	f := b.web(1)
	b.apply(f)
	container := b.settled(f)[0].ID
	exec := func(statements ...string) driver.Exec {
		return driver.Exec{ID: uuid.NewString(), Container: container, Args: append([]string{b.Program}, statements...)}
	}
	e := exec("env GREETING", "env EXTRA", "cat", "exit 4")
	e.Env = []driver.EnvVar{{Name: "EXTRA", Value: "more"}}
	s, err := b.driver.Exec(b.Context(), e)
	b.must("exec", err)
	io.WriteString(s, "hello\n")
	b.must("close input", s.CloseWrite())
	if out, exit := b.finish(s); out != "GREETING=one\nEXTRA=more\nhello\n" || exit.Code != 4 {
		b.Errorf("output %q, exit %+v", out, exit)
	}

	s, err = b.driver.Exec(b.Context(), exec("deaf", "say up", "sleep 1h"))
	b.must("exec", err)
	b.wantLine(bufio.NewReader(s), "up")
	b.must("close session", s.Close())
	ctx, cancel := context.WithTimeout(b.Context(), b.Patience)
	defer cancel()
	if exit, err := s.Wait(ctx); err == nil && exit.Code != 137 && exit.Code != 129 {
		b.Errorf("exit %+v after close, want that of SIGKILL or SIGHUP", exit)
	}
	if now := b.settled(f)[0].ID; now != container {
		b.Error("an exec took its container with it")
	}

	unknown := exec("say hello")
	unknown.Container = uuid.NewString()
	_, err = b.driver.Exec(b.Context(), unknown)
	b.wantFault("exec in an unknown container", err, fault.NotFound)
}
