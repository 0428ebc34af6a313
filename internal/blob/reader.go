package blob

import (
	"context"
	"crypto/cipher"
	"crypto/sha256"
	"fmt"
	"hash"
	"io"
	"os"
)

// source is what a blob is read from.
type source interface {
	io.ReadCloser
	Stat() (os.FileInfo, error)
}

// reader decrypts a file and verifies what it hands out.
type reader struct {
	ctx    context.Context // of the Get that opened it
	src    source
	aead   cipher.AEAD
	digest string
	size   int64

	index int64     // of the next chunk
	hash  hash.Hash // of the chunks opened so far
	buf   []byte    // holds one chunk
	plain []byte    // opened, not yet handed out
	err   error     // sticky
}

// read checks the header of a file that should hold the blob with this digest.
func (k scopeKeys) read(ctx context.Context, src source, digest string) (*reader, error) {
	header := make([]byte, headerSize)
	if n, err := io.ReadFull(src, header); err != nil {
		return nil, readError(n, err)
	}
	aead, size, err := k.openHeader(header, digest)
	if err != nil {
		return nil, err
	}
	info, err := src.Stat()
	if err != nil {
		return nil, fmt.Errorf("read blob: %w", err)
	}
	if info.Size() != fileSize(size) {
		return nil, fmt.Errorf("%w: %d bytes where %d were written", ErrCorrupt, info.Size(), fileSize(size))
	}
	return &reader{
		ctx: ctx, src: src, aead: aead, digest: digest, size: size,
		hash: sha256.New(), buf: make([]byte, min(size, chunkSize)+overhead),
	}, nil
}

// Read implements io.Reader.
func (r *reader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for len(r.plain) == 0 && r.err == nil {
		r.err = r.next()
	}
	if len(r.plain) == 0 {
		return 0, r.err
	}
	n := copy(p, r.plain)
	r.plain = r.plain[n:]
	return n, nil
}

// next opens one chunk, or returns io.EOF after the last.
func (r *reader) next() error {
	if err := r.ctx.Err(); err != nil {
		return err
	}
	last := chunks(r.size) - 1
	if r.index > last {
		if formatDigest(r.hash.Sum(nil)) != r.digest {
			return fmt.Errorf("%w: digest", ErrCorrupt)
		}
		return io.EOF
	}
	sealed := r.buf
	if r.index == last {
		sealed = sealed[:r.size-last*chunkSize+overhead]
	}
	if n, err := io.ReadFull(r.src, sealed); err != nil {
		return readError(n, err)
	}
	plain, err := r.aead.Open(nil, nil, sealed, chunkData(r.index, r.index == last))
	if err != nil {
		return fmt.Errorf("%w: chunk %d", ErrCorrupt, r.index)
	}
	r.hash.Write(plain)
	r.plain = plain
	r.index++
	return nil
}

// Close implements io.Closer.
func (r *reader) Close() error {
	clear(r.plain)
	r.plain = nil
	if r.err == nil {
		r.err = os.ErrClosed
	}
	return r.src.Close()
}

func readError(n int, err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return fmt.Errorf("%w: it ends after %d bytes of a part", ErrCorrupt, n)
	}
	return fmt.Errorf("read blob: %w", err)
}
