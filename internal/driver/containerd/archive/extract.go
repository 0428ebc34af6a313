// Package archive carries directories in and out of volumes as tar streams.
//
// Both sides are strangers: an archive comes from a caller, a volume was
// written by an app. So every name is resolved below an os.Root, nothing that
// already lies there is written through, and ids are those of one space.
//
// internal/driver/containerd calls it.
package archive

import (
	"archive/tar"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/strongroom/strongroom/internal/fault"
	"golang.org/x/sys/unix"
)

// Bounds of an archive. No system call takes a longer name.
const (
	maxEntries = 4 << 20
	maxName    = 4096
)

// IDs is a range of user ids: 0 in an archive is Base on the host.
type IDs struct{ Base, Size int }

// nobody is who owns what belongs to nobody in the range.
const nobody = 65534

func (r IDs) inside(id uint32) int {
	if n := int(id) - r.Base; n >= 0 && n < r.Size {
		return n
	}
	return nobody
}

func (r IDs) contains(id int) bool { return id >= 0 && id < r.Size }

// Extract puts an archive into a directory. Entries replace what has their
// name; set-user-id bits and devices are not taken. What it holds may be more than
// it is long, as holes of sparse files are; no more than most bytes are written.
func Extract(ctx context.Context, root *os.Root, ids IDs, most int64, archive io.Reader) error {
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
		if most -= max(h.Size, 0); most < 0 {
			return fault.New(fault.TooLarge, "The archive holds more than the volume has room for.")
		}
		e := extraction{root: root, ids: ids, header: h, in: in}
		if err := e.extract(); err != nil {
			return Fault(err, h.Name)
		}
	}
	return fault.New(fault.TooLarge, "The archive has more than %d entries.", maxEntries)
}

// extraction puts one entry into a directory.
type extraction struct {
	root   *os.Root
	ids    IDs
	header *tar.Header
	in     io.Reader
}

func (e extraction) extract() error {
	h := e.header
	name := path.Clean(h.Name)
	if len(h.Name) > maxName || len(h.Linkname) > maxName {
		return fault.New(fault.Invalid, "The archive has an entry whose name is longer than %d bytes.", maxName)
	}
	if !filepath.IsLocal(name) {
		return fault.New(fault.Invalid, "The archive's entry %q leaves the directory.", h.Name)
	}
	if !e.ids.contains(h.Uid) || !e.ids.contains(h.Gid) {
		return fault.New(fault.Invalid, "The archive's entry %q belongs to nobody in the space.", h.Name)
	}
	if err := MakeDir(e.root, path.Dir(name), e.ids.Base); err != nil {
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
	return e.root.Lchown(name, e.ids.Base+e.header.Uid, e.ids.Base+e.header.Gid)
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
	err = errors.Join(f.Chown(e.ids.Base+e.header.Uid, e.ids.Base+e.header.Gid), f.Chmod(e.mode()), f.Close())
	if err != nil {
		return err
	}
	return e.root.Chtimes(name, e.header.ModTime, e.header.ModTime)
}

// MakeDir makes a directory and its parents, owned by the container's root.
func MakeDir(v *os.Root, dir string, owner int) error {
	if _, err := v.Stat(dir); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if parent := filepath.Dir(dir); parent != dir {
		if err := MakeDir(v, parent, owner); err != nil {
			return err
		}
	}
	if err := v.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return v.Lchown(dir, owner, owner)
}

// Fault gives what went wrong with a file a kind.
func Fault(err error, name string) error {
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
