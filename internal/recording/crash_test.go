package recording

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// crashDir is set in the child that TestCrash kills.
const crashDir = "RECORDING_TEST_CRASH_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(crashDir); dir != "" {
		typeForEver(dir)
	}
	os.Exit(m.Run())
}

// typeForEver records keystrokes and says so on its output, until it is killed.
func typeForEver(dir string) {
	t := new(testing.B) // a failure in it panics, which the parent sees
	l := labIn(t, filepath.Join(dir, "running"), filepath.Join(dir, "blobs"), 8<<20)
	rec, err := l.Open(context.Background(), meta(sessionA))
	for i := 0; err == nil; i++ {
		if err = rec.Input(fmt.Appendf(nil, "<%d>", i)); err == nil {
			fmt.Println(i)
			err = rec.Output(fmt.Appendf(nil, "{%d}", i))
		}
	}
	fmt.Println("failed:", err)
	os.Exit(1)
}

// Whatever moment the recorder is killed at: what it said was recorded is there.
func TestCrash(t *testing.T) {
	for round := range 5 {
		dir := t.TempDir()
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), crashDir+"="+dir)
		child.Stderr = os.Stderr
		out, err := child.StdoutPipe()
		do(t, err, child.Start())
		acknowledged := readUntilKilled(t, child, bufio.NewScanner(out), time.Duration(20+round*17)*time.Millisecond)
		l := labIn(t, filepath.Join(dir, "running"), filepath.Join(dir, "blobs"), 8<<20)
		got, err := l.Recover(t.Context())
		do(t, err)
		if len(got) != 1 || got[0].End.Reason != Interrupted || got[0].Damaged {
			t.Fatalf("%+v", got)
		}
		cast := l.cast(t, got[0])
		for i := range acknowledged {
			if !strings.Contains(cast, fmt.Sprintf(`"<%d>"`, i)) {
				t.Fatalf("keystroke %d of %d is not in the recording", i, acknowledged)
			}
		}
	}
}

// readUntilKilled kills the child some time after its first keystroke and
// returns how many it said were recorded.
func readUntilKilled(t *testing.T, child *exec.Cmd, lines *bufio.Scanner, after time.Duration) (n int) {
	t.Helper()
	for lines.Scan() {
		if lines.Text() != fmt.Sprint(n) {
			t.Fatalf("the child said %q", lines.Text())
		}
		if n++; n == 1 {
			time.AfterFunc(after, func() { child.Process.Kill() })
		}
	}
	child.Wait()
	if n < 2 {
		t.Fatalf("only %d keystrokes before the end", n)
	}
	return n
}
