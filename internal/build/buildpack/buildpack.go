// Package buildpack knows buildpacks in Heroku's classic form: a directory
// with bin/detect, bin/compile and bin/release. It holds the built-in ones, and
// has the script that runs them inside a build container. Package packref reads
// references to them.
//
// internal/build puts the script and the files into the container; nothing of
// a buildpack runs anywhere else.
package buildpack

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"strings"

	"github.com/strongroom/strongroom/internal/fault"
)

//go:embed all:builtin
var builtin embed.FS

// Runner is the script that runs buildpacks; its head says how.
//
//go:embed run.sh
var Runner []byte

// Open returns the files of a built-in.
func Open(name string) (fs.FS, error) {
	dir := "builtin/" + strings.TrimPrefix(name, "heroku/")
	if _, err := fs.Stat(builtin, dir+"/bin/compile"); err != nil {
		return nil, fault.New(fault.NotFound, "There is no built-in buildpack %q.", name)
	}
	return fs.Sub(builtin, dir)
}

// Digest identifies a buildpack's files: names and contents.
func Digest(files fs.FS) (string, error) {
	sum := sha256.New()
	err := fs.WalkDir(files, ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		raw, err := fs.ReadFile(files, p)
		if err != nil {
			return err
		}
		fmt.Fprintf(sum, "%s\x00%d\x00", p, len(raw))
		sum.Write(raw)
		return nil
	})
	return "sha256:" + hex.EncodeToString(sum.Sum(nil)), err
}
