package containerd

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/strongroom/strongroom/internal/driver"
	"github.com/strongroom/strongroom/internal/fault"
	"golang.org/x/sys/unix"
)

// maxEntries bounds an archive; its bytes are bounded by the volume.
const maxEntries = 4 << 20

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
		if err := makeDir(root, dir, s.base()); err != nil {
			return nil, 0, fileError(err, dir)
		}
	}
	sub, err := root.OpenRoot(dir)
	if err != nil {
		return nil, 0, fileError(err, dir)
	}
	return sub, s.base(), nil
}

// fileError gives what went wrong with a file a kind.
func fileError(err error, name string) error {
	switch {
	case fault.Of(err) != "":
		return err
	case errors.Is(err, fs.ErrNotExist):
		return fault.Wrap(fault.NotFound, err, "There is no %s in the volume.", name)
	case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EDQUOT):
		return fault.Wrap(fault.TooLarge, err, "The volume is full.")
	case errors.Is(err, unix.ENOTDIR), errors.Is(err, unix.EISDIR), errors.Is(err, unix.ELOOP), errors.Is(err, unix.ENAMETOOLONG),
		strings.Contains(err.Error(), "path escapes from parent"):
		return fault.Wrap(fault.Invalid, err, "The volume has no place for %s.", name)
	}
	return err
}

// PutFiles implements driver.Driver. Entries replace what has their name;
// set-user-id bits and devices are not taken.
func (d *Driver) PutFiles(ctx context.Context, id, dir string, archive io.Reader) error {
	root, base, err := d.openDir(id, dir, true)
	if err != nil {
		return err
	}
	defer root.Close()
	in := tar.NewReader(archive)
	for range maxEntries {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fault.Wrap(fault.Invalid, err, "The archive cannot be read.")
		}
		e := extraction{root: root, base: base, header: h, in: in}
		if err := e.extract(); err != nil {
			return fileError(err, h.Name)
		}
	}
	return fault.New(fault.TooLarge, "The archive has more than %d entries.", maxEntries)
}

// extraction puts one entry into a directory.
type extraction struct {
	root   *os.Root
	base   int
	header *tar.Header
	in     io.Reader
}

func (e extraction) extract() error {
	h := e.header
	name := path.Clean(h.Name)
	if !filepath.IsLocal(name) {
		return fault.New(fault.Invalid, "The archive's entry %q leaves the directory.", h.Name)
	}
	if h.Uid < 0 || h.Uid >= rangeSize || h.Gid < 0 || h.Gid >= rangeSize {
		return fault.New(fault.Invalid, "The archive's entry %q belongs to nobody in the space.", h.Name)
	}
	if err := makeDir(e.root, path.Dir(name), e.base); err != nil {
		return err
	}
	switch h.Typeflag {
	case tar.TypeDir:
		return e.dir(name)
	case tar.TypeReg:
		return e.file(name)
	case tar.TypeSymlink:
		return errors.Join(e.clear(name), e.root.Symlink(h.Linkname, name), e.own(name))
	case tar.TypeLink:
		to := path.Clean(h.Linkname)
		if !filepath.IsLocal(to) {
			return fault.New(fault.Invalid, "The archive's link %q leaves the directory.", h.Name)
		}
		return errors.Join(e.clear(name), e.root.Link(to, name))
	}
	return fault.New(fault.Invalid, "The archive's entry %q is neither file, directory nor link.", h.Name)
}

// clear removes what is in the way; a directory with content stays, and with
// it the error of what comes next.
func (e extraction) clear(name string) error {
	err := e.root.Remove(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func (e extraction) own(name string) error {
	return e.root.Lchown(name, e.base+e.header.Uid, e.base+e.header.Gid)
}

func (e extraction) mode() fs.FileMode {
	return e.header.FileInfo().Mode() & (fs.ModePerm | fs.ModeSticky)
}

func (e extraction) dir(name string) error {
	have, err := e.root.Lstat(name)
	switch {
	case err == nil && !have.IsDir():
		err = errors.Join(e.clear(name), e.root.Mkdir(name, 0o700))
	case errors.Is(err, fs.ErrNotExist):
		err = e.root.Mkdir(name, 0o700)
	}
	if err != nil {
		return err
	}
	return errors.Join(e.own(name), e.root.Chmod(name, e.mode()))
}

func (e extraction) file(name string) error {
	if err := e.clear(name); err != nil {
		return err
	}
	f, err := e.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if _, err := io.Copy(f, e.in); err != nil {
		f.Close()
		if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, tar.ErrHeader) {
			return fault.Wrap(fault.Invalid, err, "The archive cannot be read.")
		}
		return err
	}
	err = errors.Join(f.Chown(e.base+e.header.Uid, e.base+e.header.Gid), f.Chmod(e.mode()), f.Close())
	if err != nil {
		return err
	}
	return e.root.Chtimes(name, e.header.ModTime, e.header.ModTime)
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
	d.spawn(func() {
		defer stop()
		defer root.Close()
		out := tar.NewWriter(w)
		err := writeTree(out, root, base)
		if err == nil {
			err = out.Close()
		}
		w.CloseWithError(err) // nil is the end
	})
	return r, nil
}

func writeTree(out *tar.Writer, root *os.Root, base int) error {
	return fs.WalkDir(root.FS(), ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := root.Lstat(name)
		if errors.Is(err, fs.ErrNotExist) {
			return nil // gone meanwhile
		}
		if err != nil {
			return err
		}
		return writeEntry(out, root, name, info, base)
	})
}

func writeEntry(out *tar.Writer, root *os.Root, name string, info fs.FileInfo, base int) error {
	var link string
	switch info.Mode().Type() {
	case 0, fs.ModeDir:
	case fs.ModeSymlink:
		var err error
		if link, err = root.Readlink(name); err != nil {
			return err
		}
	default:
		return nil
	}
	h, err := tar.FileInfoHeader(info, link)
	if err != nil {
		return err
	}
	h.Name, h.Uname, h.Gname = name, "", ""
	if info.IsDir() {
		h.Name += "/"
	}
	stat := info.Sys().(*syscall.Stat_t)
	h.Uid, h.Gid = unshift(stat.Uid, base), unshift(stat.Gid, base)
	if !info.Mode().IsRegular() {
		return out.WriteHeader(h)
	}
	f, err := root.OpenFile(name, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := out.WriteHeader(h); err != nil {
		return err
	}
	if _, err := io.CopyN(out, f, h.Size); err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	return nil
}

// unshift turns an id of the host into one inside the space; ids from outside
// of its range are nobody's.
func unshift(id uint32, base int) int {
	const nobody = 65534
	if n := int(id) - base; n >= 0 && n < rangeSize {
		return n
	}
	return nobody
}
