package blob

import (
	"context"
	"crypto/cipher"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"github.com/strongroom/strongroom/internal/fault"
)

// file is what a blob is written to.
type file interface {
	io.Writer
	io.WriterAt
}

// write encrypts r into f and returns what it was.
func (k scopeKeys) write(ctx context.Context, f file, r io.Reader, max int64) (Ref, error) {
	aead, key, err := newFileKey()
	if err != nil {
		return Ref{}, err
	}
	if _, err := f.Write(make([]byte, headerSize)); err != nil {
		return Ref{}, unwritable(err)
	}
	ref, err := writeChunks(ctx, f, aead, r, max)
	if err != nil {
		return Ref{}, err
	}
	if _, err := f.WriteAt(k.sealHeader(key, ref), 0); err != nil {
		return Ref{}, unwritable(err)
	}
	return ref, nil
}

func writeChunks(ctx context.Context, w io.Writer, aead cipher.AEAD, r io.Reader, max int64) (Ref, error) {
	var (
		hash   = sha256.New()
		size   int64
		sealed = make([]byte, 0, chunkSize+overhead)
		// One byte more than a chunk is read, to know whether a chunk is the last.
		plain = make([]byte, chunkSize+1)
		have  int
	)
	for index := int64(0); ; index++ {
		if err := ctx.Err(); err != nil {
			return Ref{}, err
		}
		n, err := io.ReadFull(r, plain[have:])
		have += n
		last := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
		if err != nil && !last {
			return Ref{}, fmt.Errorf("read what is to be stored: %w", err)
		}
		chunk := plain[:min(have, chunkSize)]
		if size += int64(len(chunk)); size > max || (!last && size >= max) {
			return Ref{}, fault.New(fault.TooLarge, "It is larger than the %d bytes that may be stored.", max)
		}
		hash.Write(chunk)
		sealed = aead.Seal(sealed[:0], nil, chunk, chunkData(index, last))
		if _, err := w.Write(sealed); err != nil {
			return Ref{}, unwritable(err)
		}
		if last {
			return Ref{SHA256: formatDigest(hash.Sum(nil)), Size: size}, nil
		}
		have = copy(plain, plain[len(chunk):have])
	}
}
