// Package packref reads references to buildpacks, as users give them: the name
// of a built-in, the name of one of the operator's directories, or the URL of a
// git repository. It does no I/O.
//
// internal/command/apps and internal/api check with it what is set on an app,
// internal/build what an app.json asks for.
package packref

import (
	"net/url"
	"slices"
	"strings"

	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/pattern"
)

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
	directoryPattern = pattern.New(`^[a-z0-9][a-z0-9._-]{0,62}$`)
	branchPattern    = pattern.New(`^[A-Za-z0-9][A-Za-z0-9._/-]{0,199}$`)
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
