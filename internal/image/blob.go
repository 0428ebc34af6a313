package image

import (
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"os"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// blob is a compressed layer in a file. It is compressed once, by
// compressLayer, and never again.
type blob struct {
	path   string
	digest v1.Hash // of the compressed bytes
	diffID v1.Hash // of the tar inside
	size   int64
}

// compressLayer writes what fill produces as a gzipped layer to path.
func compressLayer(path string, fill func(io.Writer) error) (_ *blob, err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() {
		if cerr := f.Close(); err == nil {
			err = cerr
		}
	}()
	outer, inner := sha256.New(), sha256.New()
	size := &counting{w: io.MultiWriter(f, outer)}
	// Images are built often and read once per host: speed over size.
	zw, err := gzip.NewWriterLevel(size, gzip.BestSpeed)
	if err != nil {
		return nil, err
	}
	if err := fill(io.MultiWriter(zw, inner)); err != nil {
		return nil, err
	}
	if err := zw.Close(); err != nil {
		return nil, fmt.Errorf("compress layer: %w", err)
	}
	return &blob{path: path, digest: sum(outer), diffID: sum(inner), size: size.n}, nil
}

type counting struct {
	w io.Writer
	n int64
}

func (c *counting) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

func sum(h hash.Hash) v1.Hash {
	return v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(h.Sum(nil))}
}

// The methods of partial.CompressedLayer, and DiffID so that it need not be
// computed by decompressing.

func (b *blob) Digest() (v1.Hash, error)             { return b.digest, nil }
func (b *blob) DiffID() (v1.Hash, error)             { return b.diffID, nil }
func (b *blob) Size() (int64, error)                 { return b.size, nil }
func (b *blob) MediaType() (types.MediaType, error)  { return types.OCILayer, nil }
func (b *blob) Compressed() (io.ReadCloser, error)   { return os.Open(b.path) }
func (b *blob) Uncompressed() (io.ReadCloser, error) { return gunzip(os.Open(b.path)) }

// gunzip reads what f holds; both are closed together.
func gunzip(f *os.File, err error) (io.ReadCloser, error) {
	if err != nil {
		return nil, err
	}
	zr, err := gzip.NewReader(f)
	if err != nil {
		f.Close()
		return nil, err
	}
	return struct {
		io.Reader
		io.Closer
	}{zr, f}, nil
}
