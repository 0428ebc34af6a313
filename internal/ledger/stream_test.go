package ledger

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/strongroom/strongroom/internal/fault"
)

// feed fills batches with the entries.
func feed(entries []*Entry, each func(*Line)) func(*Batch) (bool, error) {
	next := 0
	return func(b *Batch) (bool, error) {
		for ; next < len(entries) && !b.Full(); next++ {
			e := entries[next]
			l, header := b.Add(e.Seq), e.Header()
			l.Header = append(b.Bytes(len(header))[:0], header...)
			l.Framed = b.Bytes(FrameSize + len(e.Body))
			copy(l.Framed[FrameSize:], e.Body)
			l.Salt = e.Salt
			if each != nil {
				each(l)
			}
		}
		return next < len(entries), nil
	}
}

func streamEntries(t *testing.T) []*Entry {
	var entries []*Entry
	for i := range 3000 {
		e := testEntry(t, int64(i))
		if i%700 == 5 { // does not fit in a batch
			e.Body = []byte(`{"action":"` + strings.Repeat("x", batchBytes+i) + `"}`)
		}
		entries = append(entries, e)
	}
	return entries
}

func TestStream(t *testing.T) {
	defer goleak.VerifyNone(t)
	entries := streamEntries(t)
	next := 0
	err := Stream(context.Background(), feed(entries, nil), func(l *Line) error {
		e := entries[next]
		switch {
		case l.HeaderErr != nil || l.BodyErr != nil:
			t.Fatalf("entry %d: %v, %v", next, l.HeaderErr, l.BodyErr)
		case l.Seq != e.Seq || !bytes.Equal(l.Body(), e.Body) || l.Leaf != LeafHash(e.Header()) || *l.Parsed.Scope != *e.Scope:
			t.Fatalf("entry %d came as %d", next, l.Seq)
		case l.JSON.Value().Member("action").String() == "":
			t.Fatalf("entry %d has no action: %s", next, l.JSON.Value().Text())
		}
		next++
		return nil
	})
	if err != nil || next != len(entries) {
		t.Errorf("%d entries, %v", next, err)
	}
}

func TestStreamChecks(t *testing.T) {
	wrong := fault.New(fault.Invalid, "wrong")
	tests := map[string]struct {
		change       func(*Line)
		header, body bool // refused
	}{
		"other header":     {func(l *Line) { l.Header[0] = '[' }, true, false},
		"other seq":        {func(l *Line) { l.Seq++ }, true, false},
		"other body":       {func(l *Line) { l.Framed[FrameSize+12] ^= 1 }, false, true},
		"other salt":       {func(l *Line) { l.Salt[3] ^= 1 }, false, true},
		"no body":          {func(l *Line) { l.Framed = nil }, false, false},
		"header known bad": {func(l *Line) { l.HeaderErr = wrong }, true, false},
		"body known bad":   {func(l *Line) { l.BodyErr = wrong }, false, true},
	}
	e := testEntry(t, 5)
	for name, tt := range tests {
		seen := 0
		err := Stream(context.Background(), feed([]*Entry{e}, tt.change), func(l *Line) error {
			seen++
			if (l.HeaderErr != nil) != tt.header || (l.BodyErr != nil) != tt.body {
				t.Errorf("%s: %v, %v", name, l.HeaderErr, l.BodyErr)
			}
			return nil
		})
		if err != nil || seen != 1 {
			t.Errorf("%s: %d lines, %v", name, seen, err)
		}
	}
}

func TestStreamEnds(t *testing.T) {
	defer goleak.VerifyNone(t)
	entries := streamEntries(t)
	stop := errors.New("stop")
	if err := Stream(context.Background(), feed(entries, nil), func(l *Line) error {
		if l.Seq == 1234 {
			return stop
		}
		return nil
	}); !errors.Is(err, stop) {
		t.Errorf("take's error: %v", err)
	}
	if err := Stream(context.Background(), func(*Batch) (bool, error) { return true, stop }, func(*Line) error { return nil }); !errors.Is(err, stop) {
		t.Errorf("fill's error: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	if err := Stream(ctx, feed(entries, nil), func(l *Line) error {
		if l.Seq == 1234 {
			cancel()
		}
		return nil
	}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if err := Stream(context.Background(), func(*Batch) (bool, error) { return false, nil }, func(*Line) error { return stop }); err != nil {
		t.Errorf("nothing to stream: %v", err)
	}
}
