package spool

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// writer writes numbered lines of 100 bytes at 1 MB/s into a FIFO, as a busy
// dyno does, and notes how long it was ever held up.
type writer struct {
	lines   int
	longest time.Duration
	err     error
}

func (w *writer) run(pipe *os.File, stop <-chan struct{}) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		var b bytes.Buffer
		for range 100 {
			fmt.Fprintf(&b, "seq %08d %s\n", w.lines, strings.Repeat("x", 86))
			w.lines++
		}
		begin := time.Now()
		if _, w.err = pipe.Write(b.Bytes()); w.err != nil {
			return
		}
		w.longest = max(w.longest, time.Since(begin))
		select {
		case <-stop:
			return
		case <-tick.C:
		}
	}
}

// Killed in the middle of it, spool loses at most what it held in memory, the
// numbers go on after the restart, and the writer hardly notices.
func TestKilledWhileADynoWrites(t *testing.T) {
	cfg := testConfig(t)
	spool := process(t, cfg)
	client := Dial(cfg.Socket)
	defer client.CloseIdle()
	eventually(t, "spool answers", func() bool {
		_, err := client.Streams(t.Context())
		return err == nil
	})
	pipe := fifo(t, "pipe")
	open(t, client, testStream(pipe))
	var w writer
	stop := make(chan struct{})
	var done sync.WaitGroup
	done.Go(func() { w.run(pipe, stop) })
	const kills = 3
	for range kills {
		time.Sleep(300 * time.Millisecond)
		if err := spool.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		var exit *exec.ExitError
		if err := spool.Wait(); !errors.As(err, &exit) {
			t.Fatal(err)
		}
		spool = process(t, cfg)
	}
	time.Sleep(300 * time.Millisecond)
	close(stop)
	done.Wait()
	if w.err != nil {
		t.Fatal(w.err)
	}
	eventually(t, "spool answers again", func() bool {
		return client.Close(t.Context(), "pipe") == nil
	})
	if err := spool.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := spool.Wait(); err != nil {
		t.Fatal(err)
	}

	client, _ = running(t, cfg)
	lines := queried(t, client, all())
	ascending(t, lines)
	missing, gaps, strange := accountFor(t, texts(lines), w.lines)
	// A batch is written after 20 ms or 64 KiB; scheduling adds to that.
	if limit := kills * (2*flushAt + pendingMax) / 100; missing > limit {
		t.Errorf("%d of %d lines are missing, more than memory held (%d)", missing, w.lines, limit)
	}
	if gaps > kills || strange > 2*kills {
		t.Errorf("%d gaps and %d cut lines after %d kills", gaps, strange, kills)
	}
	if w.longest > 2*time.Second {
		t.Errorf("the writer was held up for %v", w.longest)
	}
	t.Logf("%d lines, %d missing in %d gaps, %d cut; the writer was held up for %v at most", w.lines, missing, gaps, strange, w.longest)
}

// accountFor counts which of n numbered lines are not there, in how many gaps,
// and the lines that are something else.
func accountFor(t *testing.T, texts []string, n int) (missing, gaps, strange int) {
	t.Helper()
	format := regexp.MustCompile(`^seq (\d{8}) x{86}$`)
	next := 0
	for _, text := range texts {
		m := format.FindStringSubmatch(text)
		if m == nil {
			strange++
			continue
		}
		number, err := strconv.Atoi(m[1])
		if err != nil || number < next {
			t.Fatalf("line %q comes after number %d", text, next-1)
		}
		if number > next {
			gaps++
			missing += number - next
		}
		next = number + 1
	}
	if next < n {
		gaps++
		missing += n - next
	}
	return missing, gaps, strange
}

// A dyno that writes as fast as it can gets every line kept, and spool does not
// grow with it.
func TestFlood(t *testing.T) {
	size := 48 << 20
	if testing.Short() {
		size = 8 << 20
	}
	cfg := testConfig(t)
	spool := process(t, cfg)
	client := Dial(cfg.Socket)
	defer client.CloseIdle()
	eventually(t, "spool answers", func() bool {
		_, err := client.Streams(t.Context())
		return err == nil
	})
	pipe := fifo(t, "pipe")
	open(t, client, testStream(pipe))
	lines := size / 100
	begin := time.Now()
	var b bytes.Buffer
	for i := range lines {
		fmt.Fprintf(&b, "seq %08d %s\n", i, strings.Repeat("x", 86))
		if b.Len() > 64<<10 {
			if _, err := pipe.Write(b.Bytes()); err != nil {
				t.Fatal(err)
			}
			b.Reset()
		}
	}
	write(t, pipe, b.String())
	if err := client.Close(t.Context(), "pipe"); err != nil {
		t.Fatal(err)
	}
	rate := float64(size) / 1e6 / time.Since(begin).Seconds()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", spool.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(status)
	if m == nil {
		t.Fatal("no VmHWM")
	}
	peak, err := strconv.Atoi(string(m[1]))
	if err != nil {
		t.Fatal(err)
	}
	if peak > 64<<10 {
		t.Errorf("spool grew to %d kB", peak)
	}
	newest := queried(t, client, all())
	if len(newest) != min(lines, maxLines) {
		t.Fatalf("%d lines", len(newest))
	}
	missing, _, strange := accountFor(t, texts(newest), lines)
	if missing != lines-len(newest) || strange != 0 {
		t.Errorf("%d of %d lines missing, %d strange", missing-(lines-len(newest)), lines, strange)
	}
	t.Logf("%.0f MB/s, peak memory %d kB", rate, peak)
	if err := unix.Kill(spool.Process.Pid, unix.SIGTERM); err != nil {
		t.Fatal(err)
	}
}
