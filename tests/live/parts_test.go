//go:build live

package live

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// partBack is how soon a part that was killed is back and does its work again:
// what it carries may pause for so long, and no longer. On a machine that has
// nothing else to do it takes a second.
const partBack = 30 * time.Second

// stall is the longest that the writing dyno's loop may stand still when nothing
// that was killed is on its way: its machine may be busy.
const stall = 5 * time.Second

// blow kills parts at once.
type blow struct {
	parts []string
	times int
	// breaks: requests may fail, for as long as partBack.
	breaks bool
	// pause is how long the dyno's loop may stand still.
	pause time.Duration
}

// killParts kills engine, containerd, spool and edge, alone and two at
// once. The app's requests pause only for the edge, its output only for spool;
// all is back within partBack without anybody's help, and the dyno, which
// writes 1 MB/s all the time, is never restarted.
func killParts(t *testing.T, w *writer) {
	s := w.site
	probe := newProber(t, w)
	must[progress](t)(w.progress("/?reset"))
	for _, b := range []blow{
		{[]string{"engine"}, 3, false, stall},
		{[]string{"containerd"}, 3, false, stall},
		{[]string{"spool"}, 3, false, partBack},
		{[]string{"edge"}, 3, true, stall},
		{[]string{"engine", "containerd"}, 2, false, stall},
		{[]string{"spool", "containerd"}, 1, false, partBack},
		{[]string{"engine", "spool"}, 2, false, partBack},
		{[]string{"engine", "edge"}, 2, true, stall},
		{[]string{"spool", "edge"}, 1, true, partBack},
		{[]string{"server", "engine"}, 2, false, stall},
	} {
		for n := range b.times {
			b.strike(t, w, probe)
			if t.Failed() {
				t.Fatalf("stopped after kill %d of %v", n+1, b.parts)
			}
		}
		w.works(t)
	}
	probe.stop()
	t.Log(probe)
	s.sr(t, "auditor", "ledger:verify", "--data", s.data).ok("The ledger is whole")
}

func (b blow) strike(t *testing.T, w *writer, probe *prober) {
	t.Helper()
	all := []string{"server", "engine", "containerd", "spool", "edge"}
	before, old := must[progress](t)(w.progress("/?reset")), map[string]int{}
	for _, part := range all {
		old[part] = must[int](t)(w.pid(part))
	}
	at := time.Now()
	for _, part := range b.parts {
		if _, err := w.kill(part); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, partBack, fmt.Sprintf("%v coming back", b.parts), func() error { return w.back(t, b.parts, old) })
	eventually(t, partBack, "the app answering", func() error { _, err := w.progress("/"); return err })
	took := time.Since(at)
	for _, part := range all {
		if now := must[int](t)(w.pid(part)); !slices.Contains(b.parts, part) && now != old[part] {
			t.Errorf("%v were killed and %s was started anew", b.parts, part)
		}
	}
	time.Sleep(2 * time.Second) // for what goes wrong afterwards
	for _, f := range probe.take() {
		if !b.breaks || f.at.After(at.Add(partBack)) {
			t.Errorf("%v: a request failed %s after the kill: %v", b.parts, f.at.Sub(at).Round(time.Millisecond), f.err)
		}
	}
	after := w.since(t, before, at, b.pause)
	t.Logf("%v: back after %s; the dyno stood still for %d ms at most", b.parts, took.Round(time.Millisecond), after.Worst)
}

// back tells whether other processes are there for the parts, and answer.
func (s *site) back(t *testing.T, parts []string, old map[string]int) error {
	t.Helper()
	for _, part := range parts {
		pid, err := s.pid(part)
		if err != nil {
			return err
		}
		if pid == old[part] {
			return fmt.Errorf("%s is still there", part)
		}
	}
	return s.answers(t, s.account(t, "developer"))
}

// works wants one-off dynos to start and lines to be kept.
func (w *writer) works(t *testing.T) {
	t.Helper()
	eventually(t, time.Minute, "heroku run", func() error {
		if r := w.h(t, "developer", "run", "--exit-code", "-a", w.name, "--", "echo", "alive-$((40+2))"); r.code != 0 || !strings.Contains(r.said, "alive-42") {
			return errors.New(r.said)
		}
		return nil
	})
	from := must[progress](t)(w.progress("/")).Lines
	eventually(t, partBack, "new lines being in the log", func() error {
		if lines := w.logged(t); len(lines) == 0 || lines[len(lines)-1] < from {
			return fmt.Errorf("the dyno is past line %d, the log is not", from)
		}
		return nil
	})
}

// logged gives the numbers of the newest lines in the log, in its order.
func (w *writer) logged(t *testing.T) []int64 {
	t.Helper()
	r := w.h(t, "developer", "logs", "-n", "1500", "-a", w.name, "--source", "app")
	var all []int64
	for _, m := range regexp.MustCompile(w.boot+` (\d+) x`).FindAllStringSubmatch(r.out, -1) {
		n, err := strconv.ParseInt(m[1], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, n)
	}
	return all
}

// killSpool kills spool while a dyno writes 100 lines of 1,000 bytes a
// second. What was read and not yet written is lost, at the most 64 KiB and the
// line that was half read; what was written while spool was dead waits in the
// dyno's pipe, in order.
func killSpool(t *testing.T, w *writer) {
	s := w.site
	must[progress](t)(w.progress("/?rate=100"))
	defer w.progress("/?rate=1000")
	time.Sleep(2 * time.Second)
	before := must[progress](t)(w.progress("/?reset"))
	old := must[int](t)(s.kill("spool"))
	eventually(t, partBack, "spool coming back", func() error { return s.back(t, []string{"spool"}, map[string]int{"spool": old}) })
	time.Sleep(time.Second)
	past := must[progress](t)(w.progress("/")).Lines
	var lines []int64
	eventually(t, partBack, "the lines after the kill being in the log", func() error {
		if lines = w.logged(t); len(lines) == 0 || lines[len(lines)-1] < past {
			return fmt.Errorf("the log is not past line %d", past)
		}
		return nil
	})
	if lines[0] > before.Lines {
		t.Fatalf("the log is asked too late: it begins with line %d, after line %d", lines[0], before.Lines)
	}
	lost, gaps := int64(0), 0
	for i := 1; i < len(lines); i++ {
		switch d := lines[i] - lines[i-1]; {
		case d < 1:
			t.Errorf("line %d comes after line %d", lines[i], lines[i-1])
		case d > 1:
			lost, gaps = lost+d-1, gaps+1
		}
	}
	const most = 64<<10/1000 + 2
	if lost > most || gaps > 2 {
		t.Errorf("%d lines were lost in %d places, more than %d in 2", lost, gaps, most)
	}
	t.Logf("%d of %d lines were lost", lost, len(lines))
}

// kill ends a part as a crash does.
func (s *site) kill(part string) (pid int, err error) {
	if pid, err = s.pid(part); err != nil {
		return 0, err
	}
	return pid, syscall.Kill(pid, syscall.SIGKILL)
}
