package image

import (
	"archive/tar"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"
	"time"
)

// Entry is one member of a layer.
type Entry struct {
	Header  *tar.Header
	offset  int64  // of its content in the file it was read from
	content []byte // instead, where it is held here
}

// File returns an entry of a regular file with the given content.
func File(name string, mode int64, uid int, content []byte) Entry {
	h := &tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: mode, Uid: uid, Gid: uid, Size: int64(len(content))}
	return Entry{Header: h, content: content}
}

// With returns the entry under another header; its content stays.
func (e Entry) With(h *tar.Header) Entry {
	e.Header = h
	return e
}

// Content reads the entry's content from the file it was listed from.
func (e Entry) Content(src io.ReaderAt) ([]byte, error) {
	var b bytes.Buffer
	err := copyContent(&b, src, e)
	return b.Bytes(), err
}

// Directory returns an entry of a directory.
func Directory(name string, mode int64, uid int) Entry {
	return Entry{Header: &tar.Header{Typeflag: tar.TypeDir, Name: name + "/", Mode: mode, Uid: uid, Gid: uid}}
}

const blockSize = 512 // of tar

// ReadEntries lists the members of the tar in f without their content.
func ReadEntries(f *os.File) ([]Entry, error) {
	var entries []Entry
	err := Walk(f, func(e Entry) error {
		entries = append(entries, e)
		return nil
	})
	return entries, err
}

// Walk passes on the members of the tar in f, without their content, one by
// one, until see returns an error, which Walk then returns. A tar of a stranger
// may have more members, with longer headers, than memory holds.
func Walk(f *os.File, see func(Entry) error) error {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	counted := &counter{r: f}
	tr := tar.NewReader(counted)
	var end int64 // of the last content, with its padding
	for {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			// The reader takes a missing end marker for the end: then the
			// stream may have been cut off between two members.
			if counted.n < end+blockSize {
				return fmt.Errorf("read layer: %w", io.ErrUnexpectedEOF)
			}
			return nil
		}
		if err != nil {
			return fmt.Errorf("read layer: %w", err)
		}
		end = counted.n
		if h.Typeflag == tar.TypeReg {
			end += (h.Size + blockSize - 1) / blockSize * blockSize
		}
		if err := see(Entry{Header: h, offset: counted.n}); err != nil {
			return err
		}
	}
}

// counter hides the file's Seek from the tar reader, which reads whole blocks
// and nothing ahead, so that n after Next is where the content begins.
type counter struct {
	r io.Reader
	n int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

// WriteLayer writes entries, whose content lies in src unless they hold it
// themselves, in an order and with header fields that depend on nothing but
// them. Of entries with one name the last wins.
func WriteLayer(w io.Writer, src io.ReaderAt, entries []Entry, date time.Time) error {
	tw := tar.NewWriter(w)
	for _, e := range arrange(entries) {
		h := plain(e.Header, date)
		if err := tw.WriteHeader(h); err != nil {
			return fmt.Errorf("write layer entry %q: %w", h.Name, err)
		}
		if h.Typeflag != tar.TypeReg || h.Size == 0 {
			continue
		}
		if err := copyContent(tw, src, e); err != nil {
			return fmt.Errorf("write layer entry %q: %w", h.Name, err)
		}
	}
	return tw.Close()
}

func copyContent(w io.Writer, src io.ReaderAt, e Entry) error {
	if e.content != nil {
		_, err := w.Write(e.content)
		return err
	}
	_, err := io.Copy(w, io.NewSectionReader(src, e.offset, e.Header.Size))
	return err
}

// arrange sorts by name, hard links last: their targets must come first.
func arrange(entries []Entry) []Entry {
	last := map[string]int{}
	for i, e := range entries {
		last[key(e.Header.Name)] = i
	}
	kept := make([]Entry, 0, len(last))
	for i, e := range entries {
		if last[key(e.Header.Name)] == i {
			kept = append(kept, e)
		}
	}
	slices.SortStableFunc(kept, func(a, b Entry) int {
		return cmp.Or(
			cmp.Compare(rank(a.Header), rank(b.Header)),
			cmp.Compare(key(a.Header.Name), key(b.Header.Name)),
		)
	})
	return kept
}

func rank(h *tar.Header) int {
	if h.Typeflag == tar.TypeLink {
		return 1
	}
	return 0
}

// key is a member's name without the decorations that tar writers differ in.
func key(name string) string {
	return strings.TrimPrefix(path.Clean("/"+name), "/")
}

// plain returns the header reduced to what an image needs: no names of users,
// one time, no setuid or setgid bit, extended attributes kept.
func plain(h *tar.Header, date time.Time) *tar.Header {
	out := &tar.Header{
		Typeflag: h.Typeflag,
		Name:     key(h.Name),
		Linkname: h.Linkname,
		Size:     h.Size,
		Mode:     h.Mode & 0o1777,
		Uid:      h.Uid,
		Gid:      h.Gid,
		ModTime:  date,
		Format:   tar.FormatPAX,
	}
	if h.Typeflag == tar.TypeDir {
		out.Name += "/"
	}
	if h.Typeflag == tar.TypeLink {
		out.Linkname = key(h.Linkname)
	}
	for k, v := range h.PAXRecords {
		if strings.HasPrefix(k, "SCHILY.xattr.") {
			if out.PAXRecords == nil {
				out.PAXRecords = map[string]string{}
			}
			out.PAXRecords[k] = v
		}
	}
	return out
}
