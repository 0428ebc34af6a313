package pack

import (
	"bytes"
	"crypto/sha256"
	"io"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"testing"

	"github.com/strongroom/strongroom/internal/ledger"
)

// largePack has n entries in the period, about text bytes each, of 500 documents.
func largePack(t testing.TB, n int64, text int) (l *testLog, b []byte) {
	t.Helper()
	l = emptyLog(t)
	padding := strings.Repeat("x", text)
	for i := range n {
		l.add(t, space, "app.update", func(b *ledger.Body) {
			b.Reason = padding
			doc("app", string(rune('a'+i%500)), i/500+1, `{"name":"intake","maintenance":false}`)(b)
		})
	}
	l.add(t, space, "evidence.export", nil)
	x := l.newExport(t)
	x.manifest.Period, x.manifest.BlobsLeftOut, x.blobs = Period{Time{at(0)}, Time{at(n)}}, nil, nil
	x.ranges, x.bodies = []ledger.Range{{From: 0, To: n + 1}}, nil
	for seq := range n {
		x.bodies = append(x.bodies, seq)
	}
	x.reports = []Report{
		{CSV: "reports/apps.csv", Type: State, Kind: "app", At: &Time{at(n)}, Columns: []Column{SeqColumn, {"name", "/doc/name"}}},
		{CSV: "reports/updates.csv", Type: Events, Actions: []string{"app.update"}, Columns: []Column{SeqColumn, {"time", "/header/time"}}},
	}
	return l, l.pack(t, x)
}

// heapReader notes how large the heap gets while a pack is read.
type heapReader struct {
	*bytes.Reader
	mu    sync.Mutex
	reads int
	peak  uint64
}

func (r *heapReader) ReadAt(p []byte, off int64) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.reads++; r.reads%64 == 0 {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		r.peak = max(r.peak, m.HeapAlloc)
	}
	return r.Reader.ReadAt(p, off)
}

// TestMemoryIsBounded: what a verification holds does not grow with the bodies.
func TestMemoryIsBounded(t *testing.T) {
	l, b := largePack(t, 4000, 5000)
	b = takeApart(t, b).zipped(t) // stored
	// The test's own ledger lies in the same heap: collect often, so that it is
	// not garbage that is measured.
	defer debug.SetGCPercent(debug.SetGCPercent(5))
	runtime.GC()
	var before runtime.MemStats
	runtime.ReadMemStats(&before)
	r := &heapReader{Reader: bytes.NewReader(b)}
	_, err := Verify(t.Context(), r, int64(len(b)), Options{Key: l.vkey})
	must(t, err)
	grown := int64(r.peak) - int64(before.HeapAlloc)
	if grown > 10<<20 || len(b) < 20<<20 {
		t.Errorf("the heap grew by %d bytes while a pack of %d was read", grown, len(b))
	}
}

// BenchmarkVerify compares a verification of a stored and of a deflated pack with
// nothing but SHA-256 over the bytes of its files.
func BenchmarkVerify(b *testing.B) {
	l, deflated := largePack(b, 50000, 200)
	f := takeApart(b, deflated)
	var all bytes.Buffer
	for _, path := range f.paths() {
		all.Write(f.content[path])
	}
	b.Run("sha256", func(b *testing.B) {
		b.SetBytes(int64(all.Len()))
		for b.Loop() {
			h := sha256.New()
			_, _ = io.Copy(h, bytes.NewReader(all.Bytes()))
		}
	})
	for name, content := range map[string][]byte{"stored": f.zipped(b), "deflated": deflated} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(all.Len()))
			for b.Loop() {
				_, err := verifyBytes(b, content, Options{Key: l.vkey})
				must(b, err)
			}
		})
	}
}
