package containerd

import (
	"context"
	"io"
	"os"

	"github.com/strongroom/strongroom/internal/driver"
	"github.com/strongroom/strongroom/internal/driver/containerd/archive"
)

// openDir opens a directory of an unlocked volume, so that no name and no
// symbolic link leads out of it, and returns its space's first id.
func (d *Driver) openDir(id, dir string, create bool) (*os.Root, int, error) {
	if err := driver.CheckDir(dir); err != nil {
		return nil, 0, err
	}
	r, err := d.owner(id)
	if err != nil {
		return nil, 0, err
	}
	d.mu.Lock()
	s, err := d.space(r.Space)
	d.mu.Unlock()
	if err != nil {
		return nil, 0, err
	}
	volume, err := d.cfg.Volumes.Path(id)
	if err != nil {
		return nil, 0, err
	}
	root, err := os.OpenRoot(volume)
	if err != nil {
		return nil, 0, err
	}
	defer root.Close()
	if dir == "" {
		dir = "."
	}
	if create {
		if err := archive.MakeDir(root, dir, s.base()); err != nil {
			return nil, 0, archive.Fault(err, dir)
		}
	}
	sub, err := root.OpenRoot(dir)
	if err != nil {
		return nil, 0, archive.Fault(err, dir)
	}
	return sub, s.base(), nil
}

// PutFiles implements driver.Driver. Entries replace what has their name;
// set-user-id bits and devices are not taken.
func (d *Driver) PutFiles(ctx context.Context, id, dir string, in io.Reader) error {
	r, err := d.owner(id)
	if err != nil {
		return err
	}
	root, base, err := d.openDir(id, dir, true)
	if err != nil {
		return err
	}
	defer root.Close()
	return archive.Extract(ctx, root, ids(base), r.Bytes, in)
}

// GetFiles implements driver.Driver. Sockets, FIFOs and devices are left out.
// A file that shrinks while it is read ends the stream with an error.
func (d *Driver) GetFiles(ctx context.Context, id, dir string) (io.ReadCloser, error) {
	root, base, err := d.openDir(id, dir, false)
	if err != nil {
		return nil, err
	}
	r, w := io.Pipe()
	stop := context.AfterFunc(ctx, func() { r.CloseWithError(ctx.Err()) })
	stopToo := context.AfterFunc(d.ctx, func() { r.CloseWithError(errEnded) })
	d.spawn(func() {
		defer stop()
		defer stopToo()
		defer root.Close()
		w.CloseWithError(archive.Write(w, root, ids(base))) // nil is the end
	})
	return r, nil
}

// ids of a space on the host.
func ids(base int) archive.IDs { return archive.IDs{Base: base, Size: rangeSize} }
