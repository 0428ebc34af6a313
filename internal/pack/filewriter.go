package pack

import (
	"fmt"
	"hash"
	"io"
	"sync"
)

// chunkSize is how much of a file is packed at a time.
const chunkSize = 256 << 10

// fileWriter digests and packs a file. It gathers a chunk while the one before is
// packed beside it, on another core; a file of less than a chunk is packed when it
// ends. Errors come with what is written later, or at the end.
type fileWriter struct {
	out    io.Writer
	sum    hash.Hash
	path   string
	bytes  int64
	chunks *[2][]byte // the first is being gathered, the second packed

	packing sync.WaitGroup // out, sum, bytes and err belong to it while it runs
	err     error
}

func (f *fileWriter) Write(p []byte) (int, error) {
	given := len(p)
	for len(p) > 0 {
		if cap(f.chunks[0]) == 0 {
			f.chunks[0] = make([]byte, 0, chunkSize)
		}
		room := f.chunks[0]
		n := copy(room[len(room):cap(room)], p)
		f.chunks[0], p = room[:len(room)+n], p[n:]
		if len(f.chunks[0]) < chunkSize {
			continue
		}
		if err := f.wait(); err != nil {
			return given - len(p), err
		}
		full := f.chunks[0]
		f.chunks[0], f.chunks[1] = f.chunks[1][:0], full
		f.packing.Go(func() { f.pack(full) })
	}
	return given, nil
}

// wait waits until nothing is being packed.
func (f *fileWriter) wait() error {
	f.packing.Wait()
	return f.err
}

// end packs what is left.
func (f *fileWriter) end() error {
	if err := f.wait(); err != nil {
		return err
	}
	f.pack(f.chunks[0])
	f.chunks[0] = f.chunks[0][:0]
	return f.err
}

func (f *fileWriter) pack(p []byte) {
	n, err := f.out.Write(p)
	f.sum.Write(p[:n])
	f.bytes += int64(n)
	if err != nil {
		f.err = fmt.Errorf("write %s: %w", f.path, err)
	}
}
