// Package buildpack knows buildpacks in Heroku's classic form: a directory
// with bin/detect, bin/compile and bin/release. It holds the built-in ones,
// reads references to others, and has the script that runs them inside a build
// container.
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
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/strongroom/strongroom/internal/fault"
)

//go:embed all:builtin
var builtin embed.FS

// Runner is the script that runs buildpacks; its head says how.
//
//go:embed run.sh
var Runner []byte

// BuiltIns are the names of the built-in buildpacks, in the order in which
// they are asked whether an app is theirs.
func BuiltIns() []string { return []string{"heroku/nodejs"} }

// Kinds of references.
const (
	BuiltIn   = "builtin"
	Directory = "directory" // of the operator
	Git       = "git"
)

// Ref is a reference to a buildpack, as users give it.
type Ref struct {
	Kind   string
	Name   string // of a built-in or a directory
	URL    string // of a git repository
	Branch string // branch or tag of it, "" = its default
}

var (
	directoryPattern = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,62}$`)
	branchPattern    = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._/-]{0,199}$`)
)

// Parse reads a reference: the name of a built-in, the name of one of the
// operator's directories, or an https URL of a git repository with an optional
// #branch.
func Parse(ref string) (Ref, error) {
	switch {
	case slices.Contains(BuiltIns(), ref), slices.Contains(BuiltIns(), "heroku/"+ref):
		return Ref{Kind: BuiltIn, Name: "heroku/" + strings.TrimPrefix(ref, "heroku/")}, nil
	case strings.Contains(ref, "://"):
		return parseURL(ref)
	case directoryPattern.MatchString(ref):
		return Ref{Kind: Directory, Name: ref}, nil
	}
	return Ref{}, fault.New(fault.Invalid, "There is no built-in buildpack %.100q. Built in: %s. For others, give the https URL of a git repository.",
		ref, strings.Join(BuiltIns(), ", "))
}

func parseURL(ref string) (Ref, error) {
	u, err := url.Parse(ref)
	if err != nil || u.Scheme != "https" || u.Host == "" {
		return Ref{}, fault.New(fault.Invalid, "The buildpack %.200q is not the https URL of a git repository.", ref)
	}
	// It would be in the log and in the provenance.
	if u.User != nil {
		return Ref{}, fault.New(fault.Invalid, "The URL of a buildpack cannot have credentials in it.")
	}
	branch := u.Fragment
	if branch != "" && (!branchPattern.MatchString(branch) || strings.Contains(branch, "..")) {
		return Ref{}, fault.New(fault.Invalid, "The buildpack's branch %.200q is not a name of a branch or tag.", branch)
	}
	if strings.HasSuffix(u.Path, ".tgz") || strings.HasSuffix(u.Path, ".tar.gz") {
		return Ref{}, fault.New(fault.Invalid, "The buildpack %.200q is a tarball. Give the URL of its git repository.", ref)
	}
	u.Fragment = ""
	for _, r := range u.String() {
		if r <= ' ' || r > '~' {
			return Ref{}, fault.New(fault.Invalid, "The buildpack's URL has characters that do not belong there.")
		}
	}
	return Ref{Kind: Git, URL: u.String(), Branch: branch}, nil
}

// String is how the reference is shown.
func (r Ref) String() string {
	switch {
	case r.Kind != Git:
		return r.Name
	case r.Branch == "":
		return r.URL
	}
	return r.URL + "#" + r.Branch
}

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
