package blob

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"testing"
	"time"
)

// memFile is a file in memory, for the writer and the reader.
type memFile struct {
	*bytes.Reader
	b []byte
}

func (m *memFile) Write(p []byte) (int, error) { m.b = append(m.b, p...); return len(p), nil }
func (m *memFile) WriteAt(p []byte, off int64) (int, error) {
	return copy(m.b[off:], p), nil
}
func (m *memFile) Close() error               { return nil }
func (m *memFile) Stat() (os.FileInfo, error) { return memInfo(m.Size()), nil }

type memInfo int64

func (memInfo) Name() string       { return "" }
func (i memInfo) Size() int64      { return int64(i) }
func (memInfo) Mode() os.FileMode  { return 0 }
func (memInfo) ModTime() time.Time { return time.Time{} }
func (memInfo) IsDir() bool        { return false }
func (memInfo) Sys() any           { return nil }

// FuzzReader gives the reader any bytes as the file of a known blob: it may
// fail, but it may never return something else, nor end well short of the whole.
func FuzzReader(f *testing.F) {
	k, err := deriveKeys(scopeA, bytes.Repeat([]byte{2}, 32))
	if err != nil {
		f.Fatal(err)
	}
	want := content(chunkSize + 50)
	var file memFile
	ref, err := k.write(context.Background(), &file, bytes.NewReader(want), 1<<20)
	if err != nil {
		f.Fatal(err)
	}
	// The file is described by what is done to it, so that the fuzzer need not
	// find 64 KiB of ciphertext: cut, then alter one byte, then append.
	f.Add(len(file.b), 0, byte(0), []byte(nil))
	f.Add(len(file.b)-1, 0, byte(0), []byte(nil))
	f.Add(len(file.b), 30, byte(1), []byte(nil))
	f.Add(len(file.b), int(headerSize)+5, byte(0x80), []byte(nil))
	f.Add(int(headerSize), 0, byte(0), []byte("garbage"))
	f.Add(0, 0, byte(0), []byte(magic))
	f.Fuzz(func(t *testing.T, cut, at int, flip byte, tail []byte) {
		b := bytes.Clone(file.b[:min(max(cut, 0), len(file.b))])
		if at >= 0 && at < len(b) {
			b[at] ^= flip
		}
		b = append(b, tail...)
		r, err := k.read(t.Context(), &memFile{Reader: bytes.NewReader(b)}, ref.SHA256)
		if err != nil {
			wantCorrupt(t, err)
			return
		}
		got, err := io.ReadAll(r)
		if err != nil {
			wantCorrupt(t, err)
			if !bytes.HasPrefix(want, got) {
				t.Fatal("wrong bytes were handed out")
			}
			return
		}
		if !bytes.Equal(got, want) || !bytes.Equal(b, file.b) {
			t.Fatal("an altered file was read without an error")
		}
	})
}

func wantCorrupt(t *testing.T, err error) {
	t.Helper()
	if !errors.Is(err, ErrCorrupt) {
		t.Fatalf("not reported as corrupt: %v", err)
	}
}
