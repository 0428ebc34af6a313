package pack

import (
	"context"
	"crypto/sha256"
	"fmt"
	"hash"
	"io"
	"slices"
	"strings"

	"github.com/strongroom/strongroom/internal/ledger"
)

// maxJSON bounds a JSON file other than the manifest.
const maxJSON = 128 << 20

// alwaysThere are the files that no pack is without, besides the manifest.
var alwaysThere = []string{
	signaturePath, checkpointPath, headersPath, bodiesPath, rangePath, reportsPath, keysPath, indexPath,
}

// form is group 1: the zip, the manifest, every file's digest, and no file that
// the manifest does not list. The two files that are as long as the log are
// inflated once only: they are digested while their entries go by. See formEnd.
func (v *verifier) form(ctx context.Context) error {
	var err error
	if v.zip, err = openZip(v.source); err != nil {
		return err
	}
	if err := v.readManifest(); err != nil {
		return err
	}
	if err := v.listed(); err != nil {
		return err
	}
	total := int64(0)
	for i := range v.manifest.Files {
		if err := ctx.Err(); err != nil {
			return err
		}
		f := &v.manifest.Files[i]
		total += f.Bytes
		if f.Path == headersPath || f.Path == bodiesPath {
			v.long = append(v.long, v.read(f))
			continue
		}
		if err := v.checkFile(ctx, f); err != nil {
			return err
		}
	}
	details := []string{fmt.Sprintf("%d files, %d bytes", len(v.manifest.Files), total)}
	if v.manifest.Simulated {
		details = append(details, "SIMULATED: made by a demonstration or a test")
	}
	v.passed(FormGroup, details...)
	return nil
}

func (v *verifier) readManifest() error {
	content, err := v.readFile(manifestPath, maxManifest)
	if err != nil {
		return err
	}
	m := &Manifest{}
	if err := decodeJSON(content, m); err != nil {
		return because(FormGroup, manifestPath, noSeq, err)
	}
	if err := m.check(); err != nil {
		return because(FormGroup, manifestPath, noSeq, err)
	}
	v.manifest, v.digest = m, ledger.FormatDigest(sha256.Sum256(content))
	v.result.Manifest, v.result.Installation = m, m.Installation
	return nil
}

// listed compares the manifest's list with the zip's.
func (v *verifier) listed() error {
	v.files = make(map[string]*File, len(v.manifest.Files))
	lower := map[string]bool{manifestPath: true, signaturePath: true}
	for i := range v.manifest.Files {
		f := &v.manifest.Files[i]
		m := v.zip.members[f.Path]
		switch {
		case !validPath(f.Path):
			return badZip(manifestPath, "the manifest lists %.80q, a name that a pack cannot hold", f.Path)
		case lower[strings.ToLower(f.Path)]:
			return badZip(f.Path, "the manifest lists the file twice, or itself")
		case m == nil:
			return badZip(f.Path, "the manifest lists the file but it is not in the pack")
		case m.head.size != f.Bytes:
			return badZip(f.Path, "the file has %d bytes, the manifest says %d", m.head.size, f.Bytes)
		}
		lower[strings.ToLower(f.Path)] = true
		v.files[f.Path] = f
	}
	for _, m := range v.zip.order {
		if v.files[m.name] == nil && m.name != manifestPath && m.name != signaturePath {
			return badZip(m.name, "the manifest does not list the file")
		}
	}
	for _, path := range alwaysThere {
		if v.zip.members[path] == nil {
			return badZip(path, "the file is missing")
		}
	}
	return nil
}

// formEnd is the rest of group 1. Whatever the groups behind it found in a file
// that is not the manifest's, the file is what is wrong.
func (v *verifier) formEnd(ctx context.Context) error {
	for _, r := range v.long {
		if err := r.end(ctx); err != nil {
			*v.result = Result{Manifest: v.manifest, Installation: v.manifest.Installation}
			return err
		}
	}
	return nil
}

// longFile is one of the files that formEnd is about. listed has seen to it that
// they are there.
func (v *verifier) longFile(path string) io.Reader {
	return v.long[slices.IndexFunc(v.long, func(d *digested) bool { return d.Path == path })]
}

// checkFile reads a file: its digest, and if it is JSON, that no member name
// occurs twice.
func (v *verifier) checkFile(ctx context.Context, f *File) error {
	in := v.read(f)
	var malformed error
	if strings.HasSuffix(f.Path, ".json") {
		if f.Bytes > maxJSON {
			return badZip(f.Path, "the file is larger than %d MiB", maxJSON>>20)
		}
		malformed = ledger.CheckJSON(contextReader{ctx, in})
	}
	if err := in.end(ctx); err != nil {
		return err
	}
	if malformed != nil {
		return because(FormGroup, f.Path, noSeq, malformed)
	}
	return nil
}

// digested is a file that is digested while it is read.
type digested struct {
	*File
	in  io.Reader
	sum hash.Hash
}

func (v *verifier) read(f *File) *digested {
	return &digested{f, v.zip.open(v.zip.members[f.Path]), sha256.New()}
}

func (d *digested) Read(p []byte) (int, error) {
	n, err := d.in.Read(p)
	d.sum.Write(p[:n])
	return n, err
}

// end reads what is left and compares the digest.
func (d *digested) end(ctx context.Context) error {
	if _, err := io.Copy(io.Discard, contextReader{ctx, d}); err != nil {
		return err
	}
	if ledger.FormatDigest([32]byte(d.sum.Sum(nil))) != d.SHA256 {
		return badZip(d.Path, "the file's digest is not the manifest's")
	}
	return nil
}

// contextReader stops a long read when the context ends.
type contextReader struct {
	ctx context.Context
	in  io.Reader
}

func (r contextReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.in.Read(p)
}

// readFile returns a whole small file.
func (v *verifier) readFile(path string, limit int64) ([]byte, error) {
	m := v.zip.members[path]
	if m == nil {
		return nil, badZip(path, "the file is missing")
	}
	if m.head.size > limit {
		return nil, badZip(path, "the file is larger than %d KiB", limit>>10)
	}
	return io.ReadAll(v.zip.open(m))
}
