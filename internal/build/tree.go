package build

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/image"
)

// UID is whom builds and apps run as; images/base has an account for it.
const UID = 1000

// rules of a tree that somebody else wrote.
type rules struct {
	what     string // "source" or "slug", for messages
	maxBytes int64
	maxFiles int
	// outside says whether an absolute link target is allowed.
	outside func(target string) bool
}

// tree is a checked tar in a file. Its entries' names are clean, relative and
// below no link.
type tree struct {
	file    *os.File
	entries []image.Entry
	digest  string // of the stream as received
	bytes   int64  // of all contents
}

func (t *tree) Close() error { return t.file.Close() }

// readTree spools a tar or tar.gz stream into a file at name and checks it.
func readTree(r io.Reader, name string, rule rules) (*tree, error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	t := &tree{file: f}
	if err := t.spool(r, rule); err != nil {
		f.Close()
		return nil, err
	}
	if err := t.check(rule); err != nil {
		f.Close()
		return nil, err
	}
	return t, nil
}

// spool writes the unpacked stream to the file, within the bounds: contents,
// and up to three header blocks for each file.
func (t *tree) spool(r io.Reader, rule rules) error {
	sum := sha256.New()
	buffered := bufio.NewReaderSize(io.TeeReader(r, sum), 64<<10)
	var plain io.Reader = buffered
	if magic, _ := buffered.Peek(2); string(magic) == "\x1f\x8b" {
		zr, err := gzip.NewReader(buffered)
		if err != nil {
			return fault.Wrap(fault.Invalid, err, "The %s is not a whole gzip file.", rule.what)
		}
		plain = zr
	}
	limit := rule.maxBytes + int64(rule.maxFiles)*1536 + 10240
	n, err := io.Copy(t.file, io.LimitReader(plain, limit+1))
	if err != nil {
		return fault.Wrap(fault.Invalid, err, "The %s could not be read to its end.", rule.what)
	}
	if n > limit {
		return rule.tooLarge()
	}
	t.digest = "sha256:" + hex.EncodeToString(sum.Sum(nil))
	return nil
}

func (rule rules) tooLarge() error {
	return fault.New(fault.TooLarge, "The %s is larger than %d MiB.", rule.what, rule.maxBytes>>20)
}

// Bounds of names, whatever a tree holds: headers are kept in memory.
const (
	maxName  = 4000
	maxNames = 32 << 20 // of all together
	maxDepth = 200      // directories, one in the other
)

func (t *tree) check(rule rules) error {
	c := checking{tree: t, rule: rule, kinds: map[string]byte{}}
	err := image.Walk(t.file, c.see)
	if err != nil && fault.Of(err) == "" {
		return fault.Wrap(fault.Invalid, err, "The %s is not a whole tar archive.", rule.what)
	}
	if err != nil {
		return err
	}
	return t.checkParents(c.kinds, rule)
}

// checking is a look at a tree, member by member.
type checking struct {
	tree  *tree
	rule  rules
	kinds map[string]byte
	names int // bytes
}

func (c *checking) see(e image.Entry) error {
	h, rule, t := e.Header, c.rule, c.tree
	if h.Typeflag == tar.TypeXGlobalHeader {
		return nil // git archive puts the commit's id there
	}
	name, err := cleanName(h.Name, rule)
	if err != nil || name == "." {
		return err
	}
	if err := rule.admit(h, name, c.kinds); err != nil {
		return err
	}
	c.kinds[name] = h.Typeflag
	if t.bytes += h.Size; t.bytes > rule.maxBytes {
		return rule.tooLarge()
	}
	if c.names += len(name) + len(h.Linkname); c.names > maxNames {
		return fault.New(fault.TooLarge, "The names in the %s take more than %d MiB.", rule.what, maxNames>>20)
	}
	h.Name, h.PAXRecords = name, nil
	if t.entries = append(t.entries, e); len(t.entries) > rule.maxFiles {
		return fault.New(fault.TooLarge, "The %s has more than %d files.", rule.what, rule.maxFiles)
	}
	return nil
}

func cleanName(name string, rule rules) (string, error) {
	clean := path.Clean(name)
	if len(name) > maxName || strings.ContainsRune(name, 0) || !filepath.IsLocal(clean) {
		return "", fault.New(fault.Invalid, "The %s has the entry %.200q, which is not a path inside it.", rule.what, name)
	}
	if strings.Count(clean, "/") > maxDepth {
		return "", fault.New(fault.Invalid, "The %s has the entry %.200q, which is more than %d directories deep.", rule.what, name, maxDepth)
	}
	return clean, nil
}

// admit checks one entry against those before it.
func (rule rules) admit(h *tar.Header, name string, kinds map[string]byte) error {
	for key := range h.PAXRecords {
		if strings.HasPrefix(key, "GNU.sparse") {
			return fault.New(fault.Invalid, "The %s has the sparse file %.200q; pack it without holes.", rule.what, name)
		}
	}
	if before, ok := kinds[name]; ok && (before != tar.TypeDir || h.Typeflag != tar.TypeDir) {
		return fault.New(fault.Invalid, "The %s has %.200q twice.", rule.what, name)
	}
	switch h.Typeflag {
	case tar.TypeReg:
		return nil
	case tar.TypeDir:
		h.Size = 0
		return nil
	case tar.TypeSymlink:
		return rule.checkLink(h, name)
	case tar.TypeLink:
		target, err := cleanName(h.Linkname, rule)
		if err != nil {
			return err
		}
		if kinds[target] != tar.TypeReg {
			return fault.New(fault.Invalid, "The %s has the hard link %.200q to something that is not a file before it.", rule.what, name)
		}
		h.Linkname = target
		return nil
	}
	return fault.New(fault.Invalid, "The %s has %.200q, which is neither a file, a directory nor a link.", rule.what, name)
}

func (rule rules) checkLink(h *tar.Header, name string) error {
	target := h.Linkname
	if len(target) > maxName {
		return fault.New(fault.Invalid, "The %s has the link %.200q, whose target is longer than %d bytes.", rule.what, name, maxName)
	}
	if path.IsAbs(target) {
		if rule.outside(path.Clean(target)) {
			return nil
		}
	} else if target != "" && !strings.ContainsRune(target, 0) && filepath.IsLocal(path.Join(path.Dir(name), target)) {
		return nil
	}
	return fault.New(fault.Invalid, "The %s has the link %.200q to %.200q, which leads out of it.", rule.what, name, target)
}

// checkParents refuses entries below something that is not a directory: below
// a link they would be written wherever the link leads.
func (t *tree) checkParents(kinds map[string]byte, rule rules) error {
	for name := range kinds {
		for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
			if kind, ok := kinds[dir]; ok && kind != tar.TypeDir {
				return fault.New(fault.Invalid, "The %s has %.200q below %.200q, which is not a directory.", rule.what, name, dir)
			}
		}
	}
	return nil
}

// read returns a file's content, nil if there is none of that name.
func (t *tree) read(name string, limit int64) ([]byte, error) {
	for _, e := range t.entries {
		if e.Header.Name != name || e.Header.Typeflag != tar.TypeReg {
			continue
		}
		if e.Header.Size > limit {
			return nil, fault.New(fault.TooLarge, "%s is larger than %d bytes.", name, limit)
		}
		return e.Content(t.file)
	}
	return nil, nil
}

// has reports whether there is a regular file of that name.
func (t *tree) has(name string) bool {
	for _, e := range t.entries {
		if e.Header.Name == name && e.Header.Typeflag == tar.TypeReg {
			return true
		}
	}
	return false
}

// under returns the entries owned by the app's user and moved into dir, which
// may be "", with directories for all of them.
func (t *tree) under(dir string) []image.Entry {
	seen := map[string]bool{"": true, ".": true}
	var out []image.Entry
	for _, e := range t.entries {
		h := *e.Header
		h.Uid, h.Gid, h.Uname, h.Gname = UID, UID, "", ""
		h.Mode = tidyMode(&h)
		h.Name = path.Join(dir, h.Name)
		if h.Typeflag == tar.TypeLink {
			h.Linkname = path.Join(dir, h.Linkname)
		}
		h.PAXRecords = nil
		for _, parent := range parents(h.Name, seen) {
			out = append(out, image.Directory(parent, 0o755, UID))
		}
		if h.Typeflag == tar.TypeDir {
			seen[h.Name] = true
		}
		out = append(out, e.With(&h))
	}
	return out
}

func parents(name string, seen map[string]bool) []string {
	var list []string
	for dir := path.Dir(name); !seen[dir]; dir = path.Dir(dir) {
		seen[dir] = true
		list = append(list, dir)
	}
	return list
}

// tidyMode keeps what matters: whether a file can be executed. Its owner can
// always read and write it.
func tidyMode(h *tar.Header) int64 {
	if h.Typeflag == tar.TypeDir || h.Mode&0o100 != 0 {
		return 0o755
	}
	return 0o644
}
