package containerd

import (
	"context"
	"errors"
	"io"
	"strings"

	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"
	"github.com/strongroom/strongroom/internal/fault"
)

// imagePrefix begins the names that keep images from being collected.
const imagePrefix = "strongroom.local/image@"

// readyLabel marks an image that was unpacked: a crash may leave one that was not.
const readyLabel = "strongroom/ready"

func imageRef(digest string) string { return imagePrefix + digest }

// ImportImage implements driver.Driver. containerd checks every blob that the
// manifest names against its digest.
func (d *Driver) ImportImage(ctx context.Context, archive io.Reader) (string, error) {
	ctx = d.with(ctx)
	d.imports.Lock()
	defer d.imports.Unlock()
	in := &bounded{r: archive, left: d.cfg.MaxImageBytes}
	found, err := d.cfg.Client.Import(ctx, in,
		client.WithDigestRef(func(d digest.Digest) string { return imageRef(d.String()) }),
		client.WithImageRefTranslator(func(string) string { return "" }))
	if err != nil {
		return "", d.importError(ctx, in, err)
	}
	if len(found) != 1 || !images.IsManifestType(found[0].Target.MediaType) {
		d.discard(ctx, found)
		return "", fault.New(fault.Invalid, "The archive is not an OCI layout with one image for this host.")
	}
	img := client.NewImage(d.cfg.Client, found[0])
	if err := d.checkInflated(ctx, img); err != nil {
		d.discard(ctx, found)
		return "", err
	}
	if err := img.Unpack(ctx, snapshotter); err != nil {
		d.discard(ctx, found)
		return "", d.importError(ctx, in, err)
	}
	found[0].Labels = map[string]string{readyLabel: "yes"}
	if _, err := d.cfg.Client.ImageService().Update(ctx, found[0], "labels."+readyLabel); err != nil {
		return "", d.unavailable(err)
	}
	return found[0].Target.Digest.String(), nil
}

func (d *Driver) discard(ctx context.Context, list []images.Image) {
	for _, img := range list {
		if err := d.cfg.Client.ImageService().Delete(ctx, img.Name, images.SynchronousDelete()); err != nil {
			d.log.Warn("image not discarded", "image", img.Name, "err", err)
		}
	}
}

func (d *Driver) importError(ctx context.Context, in *bounded, err error) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case in.over:
		return fault.New(fault.TooLarge, "The image is larger than %d bytes.", d.cfg.MaxImageBytes)
	case errdefs.IsUnavailable(err) || strings.Contains(err.Error(), "no space left on device"):
		return fault.Wrap(fault.Unavailable, err, "The image cannot be stored now.")
	}
	return fault.Wrap(fault.Invalid, err, "The archive is not a whole OCI image layout.")
}

// bounded fails once more than left bytes were read.
type bounded struct {
	r    io.Reader
	left int64
	over bool
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		b.over = true
		return 0, errors.New("too large")
	}
	n, err := b.r.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}

func (d *Driver) unknownImage(digest string, err error) error {
	if errdefs.IsNotFound(err) {
		return fault.New(fault.NotFound, "The image %s is not on this engine.", digest)
	}
	return d.unavailable(err)
}

// checkImage refuses an image that was not imported.
func (d *Driver) checkImage(ctx context.Context, digest string) error {
	if _, err := d.cfg.Client.ImageService().Get(ctx, imageRef(digest)); err != nil {
		return d.unknownImage(digest, err)
	}
	return nil
}

// imageDigests are those of the images that can be started.
func (d *Driver) imageDigests(ctx context.Context) ([]string, error) {
	list, err := d.cfg.Client.ImageService().List(ctx)
	if err != nil {
		return nil, d.unavailable(err)
	}
	var out []string
	for _, img := range list {
		if digest, ok := strings.CutPrefix(img.Name, imagePrefix); ok && img.Labels[readyLabel] != "" {
			out = append(out, digest)
		}
	}
	return out, nil
}

// unavailable says that containerd did not do what was asked.
func (d *Driver) unavailable(err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return fault.Wrap(fault.Unavailable, err, "The container runtime did not do it.")
}
