package containerd

import (
	"archive/tar"
	"context"
	"errors"
	"io"

	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/containerd/v2/pkg/archive/compression"
	"github.com/containerd/errdefs"
	"github.com/opencontainers/image-spec/identity"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/strongroom/strongroom/internal/fault"
)

// checkInflated refuses an image whose layers would fill the host's disk: how
// long a layer is says nothing of what it unpacks to. containerd has no bound
// of its own, so layers that it does not have unpacked yet are read through
// once before.
func (d *Driver) checkInflated(ctx context.Context, img client.Image) error {
	manifest, err := images.Manifest(ctx, img.ContentStore(), img.Target(), img.Platform())
	if err != nil {
		return fault.Wrap(fault.Invalid, err, "The archive is not a whole OCI image layout.")
	}
	diffs, err := img.RootFS(ctx)
	if err != nil || len(diffs) != len(manifest.Layers) {
		return fault.Wrap(fault.Invalid, err, "The image's configuration does not fit its layers.")
	}
	left := allowance{bytes: d.cfg.MaxUnpackedBytes, files: d.cfg.MaxUnpackedFiles}
	for i, layer := range manifest.Layers {
		_, err := d.cfg.Client.SnapshotService(snapshotter).Stat(ctx, identity.ChainID(diffs[:i+1]).String())
		if err == nil {
			continue
		}
		if !errdefs.IsNotFound(err) {
			return d.unavailable(err)
		}
		if err := left.spend(ctx, img.ContentStore(), layer); err != nil {
			return err
		}
	}
	return nil
}

// allowance is what layers may still unpack to.
type allowance struct {
	bytes int64
	files int
}

func (a *allowance) spend(ctx context.Context, store content.Store, layer ocispec.Descriptor) error {
	stored, err := store.ReaderAt(ctx, layer)
	if err != nil {
		return fault.Wrap(fault.Unavailable, err, "The image cannot be read now.")
	}
	defer stored.Close()
	plain, err := compression.DecompressStream(content.NewReader(stored))
	if err != nil {
		return fault.Wrap(fault.Invalid, err, "A layer of the image is not compressed as it should be.")
	}
	defer plain.Close()
	return a.walk(ctx, plain)
}

// walk reads a layer's tar to its end, or to the end of the allowance. What is
// no tar is left for containerd to refuse.
func (a *allowance) walk(ctx context.Context, plain io.Reader) error {
	in := &bounded{r: plain, left: a.bytes}
	defer func() { a.bytes = in.left }()
	for members := tar.NewReader(in); ; a.files-- {
		_, err := members.Next()
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, io.EOF):
			return nil
		case in.over || err == nil && a.files == 0:
			return fault.New(fault.TooLarge, "The image's layers unpack to more than an image may have.")
		case err != nil:
			return fault.Wrap(fault.Invalid, err, "A layer of the image is not a whole tar archive.")
		}
	}
}
