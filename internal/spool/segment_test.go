package spool

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/strongroom/strongroom/internal/driver"
)

func testRecords() []byte {
	at := time.Unix(1, 5)
	b := appendRecord(nil, 7, at, "app", "web.1", []byte("one"))
	b = appendRecord(b, 8, at, "heroku", "router", nil)
	return appendRecord(b, 10, at, "app", "worker.1", []byte(strings.Repeat("x", maxText)))
}

func TestRecordRoundTrip(t *testing.T) {
	s, err := scan(bytes.NewReader(append([]byte(magic), testRecords()...)), 0, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	var got []driver.LogLine
	for {
		r, err := s.next()
		if err != nil {
			break
		}
		got = append(got, r.line())
	}
	at := time.Unix(1, 5).UTC()
	want := []driver.LogLine{
		{ID: "0000000000000007", Time: at, Source: "app", Dyno: "web.1", Text: "one"},
		{ID: "0000000000000008", Time: at, Source: "heroku", Dyno: "router"},
		{ID: "000000000000000a", Time: at, Source: "app", Dyno: "worker.1", Text: strings.Repeat("x", maxText)},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
}

// Whatever a crash leaves at the end of a segment, what is whole before it stays.
func TestRepair(t *testing.T) {
	first := len(appendRecord(nil, 7, time.Unix(1, 5), "app", "web.1", []byte("one")))
	whole := append([]byte(magic), testRecords()...)
	flipped := bytes.Clone(whole)
	flipped[len(flipped)-1] ^= 1
	backwards := appendRecord(bytes.Clone(whole), 10, time.Now(), "app", "web.1", nil)
	third := len(magic) + first + len(appendRecord(nil, 8, time.Unix(1, 5), "heroku", "router", nil))
	for name, test := range map[string]struct {
		file []byte
		keep int
		last uint64
	}{
		"whole":            {whole, len(whole), 10},
		"empty":            {nil, 0, 0},
		"half the magic":   {[]byte(magic[:3]), 0, 0},
		"magic only":       {[]byte(magic), 0, 0},
		"not a segment":    {[]byte("what is this file, and who wrote it?"), 0, 0},
		"cut header":       {whole[:len(magic)+first+3], len(magic) + first, 7},
		"cut payload":      {whole[:len(whole)-1], third, 8},
		"flipped bit":      {flipped, third, 8},
		"zeroes":           {append(bytes.Clone(whole), make([]byte, 4096)...), len(whole), 10},
		"noise":            {append(bytes.Clone(whole), bytes.Repeat([]byte{0xff}, 99)...), len(whole), 10},
		"id does not grow": {backwards, len(whole), 10},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			seg := segment{first: 7, size: int64(len(test.file))}
			if err := os.WriteFile(seg.path(dir), test.file, 0o600); err != nil {
				t.Fatal(err)
			}
			fixed, last, cut, err := repair(dir, seg)
			if err != nil {
				t.Fatal(err)
			}
			if fixed.size != int64(test.keep) || last != test.last || cut != int64(len(test.file)-test.keep) {
				t.Errorf("repair = %d bytes, last %d, %d cut; want %d, %d, %d", fixed.size, last, cut, test.keep, test.last, len(test.file)-test.keep)
			}
			after, err := os.ReadFile(seg.path(dir))
			if test.keep == 0 {
				if !os.IsNotExist(err) {
					t.Errorf("the file is still there: %v", err)
				}
			} else if err != nil || !bytes.Equal(after, test.file[:test.keep]) {
				t.Errorf("the file holds %d bytes, %v", len(after), err)
			}
		})
	}
}

func TestListSegmentsIgnoresOtherFiles(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"00000000000000ff.seg", "0000000000000010.seg", "x.seg", "0000000000000010.tmp", "notes"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("abc"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := listSegments(dir)
	if err != nil {
		t.Fatal(err)
	}
	want := []segment{{0x10, 3}, {0xff, 3}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(segment{})); diff != "" {
		t.Errorf("segments (-want +got):\n%s", diff)
	}
}

// No file can make the reader do anything but stop, and what it accepts is what
// the encoder would have written.
func FuzzScan(f *testing.F) {
	f.Add(append([]byte(magic), testRecords()...))
	f.Add([]byte(magic))
	f.Add(append([]byte(magic), 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0))
	f.Fuzz(func(t *testing.T, in []byte) {
		s, err := scan(bytes.NewReader(in), 0, int64(len(in)))
		if err != nil {
			return
		}
		written := []byte(magic)
		for {
			r, err := s.next()
			if errors.Is(err, io.EOF) || errors.Is(err, errTorn) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			written = appendRecord(written, r.id, time.Unix(0, r.time), string(r.source), string(r.dyno), r.text)
		}
		if int64(len(written)) != s.at || !bytes.Equal(written, in[:s.at]) {
			t.Errorf("accepted %d bytes that are not %d of the encoder's", s.at, len(written))
		}
	})
}
