//go:build integration

package evidence_test

import (
	"io"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/command/commandtest"
	"github.com/strongroom/strongroom/internal/evidence"
	"github.com/strongroom/strongroom/internal/fault"
)

// TestFullDisk: where the reports do not fit the server's disk, the error says
// what to do and nothing is issued.
func TestFullDisk(t *testing.T) {
	l := newLab(t)
	l.Set(at(2 * time.Hour))
	if err := os.Mkdir(l.waiting, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", l.waiting, "tmpfs", 0, "size=8k"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(l.waiting, 0); err != nil {
			t.Error(err)
		}
	})
	before := l.Size()
	err := l.exporter.Export(t.Context(), l.As("auditor"), evidence.Request{Space: "ward", From: at(-time.Hour), To: at(time.Hour)}, func(string) io.Writer { return io.Discard })
	if fault.Of(err) != fault.Unavailable || !strings.Contains(fault.Message(err), "disk is full") {
		t.Errorf("%v", err)
	}
	if got := commandtest.Actions(l.Since(before)); !slices.Equal(got, []string{"evidence.export"}) {
		t.Errorf("recorded as %v", got)
	}
}
