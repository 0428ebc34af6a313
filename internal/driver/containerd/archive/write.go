package archive

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// Write writes a directory as a tar stream. Sockets, FIFOs and devices are left
// out. A file that shrinks while it is read is an error.
func Write(to io.Writer, root *os.Root, ids IDs) error {
	out := tar.NewWriter(to)
	if err := writeTree(out, root, ids); err != nil {
		return err
	}
	return out.Close()
}

func writeTree(out *tar.Writer, root *os.Root, ids IDs) error {
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
		return writeEntry(out, root, name, info, ids)
	})
}

func writeEntry(out *tar.Writer, root *os.Root, name string, info fs.FileInfo, ids IDs) error {
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
	h.Uid, h.Gid = ids.inside(stat.Uid), ids.inside(stat.Gid)
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
