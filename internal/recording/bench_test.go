package recording

import (
	"bytes"
	"io"
	"slices"
	"testing"
	"time"
)

// BenchmarkInput is what recording adds to one keystroke.
func BenchmarkInput(b *testing.B) {
	l := newLab(b, 256<<20)
	rec := l.open(b, sessionA)
	var took []time.Duration
	for b.Loop() {
		begin := time.Now()
		if err := rec.Input([]byte("x")); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(begin))
	}
	reportPercentiles(b, took)
}

// BenchmarkOutput is bulk output in the largest batches.
func BenchmarkOutput(b *testing.B) {
	text := bytes.Repeat([]byte("all work and no play makes a dull log line\r\n"), maxEvent/44)
	l := newLab(b, 1<<30)
	rec := l.open(b, sessionA)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if err := rec.Output(text); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkSeal moves a recording of 16 MiB to the blob store.
func BenchmarkSeal(b *testing.B) {
	b.SetBytes(16 << 20)
	for b.Loop() {
		b.StopTimer()
		l := newLab(b, 64<<20)
		rec := l.open(b, sessionA)
		for range 16 << 20 / maxEvent {
			do(b, rec.Output(bytes.Repeat([]byte("x"), maxEvent)))
		}
		b.StartTimer()
		s, err := rec.Seal(b.Context(), End{Reason: "exit"})
		do(b, err)
		b.StopTimer()
		r, err := l.store.Get(b.Context(), s.Scope, s.Ref.SHA256)
		do(b, err)
		io.Copy(io.Discard, r)
		r.Close()
		b.StartTimer()
	}
}

func reportPercentiles(b *testing.B, took []time.Duration) {
	slices.Sort(took)
	at := func(p float64) float64 {
		return float64(took[int(p*float64(len(took)-1))].Microseconds()) / 1000
	}
	b.ReportMetric(at(0.5), "p50-ms")
	b.ReportMetric(at(0.99), "p99-ms")
}
