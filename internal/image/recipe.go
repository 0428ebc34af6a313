package image

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"time"

	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/pattern"
)

// Recipe says what an image is made of. It is read from recipe.json in the
// recipe's directory; a directory rootfs beside it is laid over the packages.
type Recipe struct {
	Name        string `json:"name"`
	Description string `json:"description"`
	// Extends names another recipe whose packages, users, directories, overlay,
	// excludes and environment come first. The result is one layer all the same.
	Extends  string            `json:"extends"`
	Suite    string            `json:"suite"`    // Debian's, such as "trixie"
	Date     time.Time         `json:"date"`     // time of every file, unless SOURCE_DATE_EPOCH says otherwise
	Packages []string          `json:"packages"` // without recommended ones
	Exclude  []string          `json:"exclude"`  // shell patterns of paths that packages must not install
	Remove   []string          `json:"remove"`   // patterns of paths that maintainer scripts made and that are taken out again
	Users    []User            `json:"users"`
	Dirs     []Dir             `json:"dirs"`
	UID      int               `json:"uid"` // the image starts as this user
	WorkDir  string            `json:"workdir"`
	Env      map[string]string `json:"env"`
	Command  []string          `json:"command"`
	Ports    []int             `json:"ports"`

	overlay map[string][]byte // rootfs/: path without leading slash → content
}

// User is an account inside the image.
type User struct {
	Name string `json:"name"`
	UID  int    `json:"uid"` // also its group's id
	Home string `json:"home"`
}

// Dir is a directory that the image must have.
type Dir struct {
	Path string `json:"path"`
	UID  int    `json:"uid"`
	Mode string `json:"mode"` // octal, as "0755"
}

// Load reads the recipe that lies in directory name of fsys, and the one it
// extends.
func Load(fsys fs.FS, name string) (Recipe, error) {
	r, err := loadOne(fsys, name)
	if err != nil {
		return Recipe{}, err
	}
	if r.Extends == "" {
		return r, nil
	}
	parent, err := loadOne(fsys, r.Extends)
	if err != nil {
		return Recipe{}, err
	}
	if parent.Extends != "" {
		return Recipe{}, fault.New(fault.Invalid, "Image recipe %q extends %q, which extends another: one level only.", name, r.Extends)
	}
	return r.onto(parent), nil
}

func loadOne(fsys fs.FS, name string) (Recipe, error) {
	raw, err := fs.ReadFile(fsys, path.Join(name, "recipe.json"))
	if err != nil {
		return Recipe{}, fault.Wrap(fault.NotFound, err, "There is no image recipe %q.", name)
	}
	var r Recipe
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&r); err != nil {
		return Recipe{}, fault.Wrap(fault.Invalid, err, "The image recipe %q is not valid: %v.", name, err)
	}
	if r.overlay, err = loadOverlay(fsys, path.Join(name, "rootfs")); err != nil {
		return Recipe{}, err
	}
	return r, r.check()
}

func loadOverlay(fsys fs.FS, root string) (map[string][]byte, error) {
	files := map[string][]byte{}
	err := fs.WalkDir(fsys, root, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if !d.Type().IsRegular() {
			return fault.New(fault.Invalid, "%s is not a regular file: an image's overlay holds files only.", p)
		}
		files[p[len(root)+1:]], err = fs.ReadFile(fsys, p)
		return err
	})
	if errors.Is(err, fs.ErrNotExist) {
		return files, nil
	}
	return files, err
}

var (
	wordPattern    = pattern.New(`^[a-z][a-z0-9-]{0,62}$`)
	packagePattern = pattern.New(`^[a-z0-9][a-z0-9+.-]{1,100}$`)
)

// check holds what a recipe may say: its words end up in the arguments of a
// program that runs as root.
func (r Recipe) check() error {
	if !wordPattern.MatchString(r.Name) || !wordPattern.MatchString(r.Suite) {
		return fault.New(fault.Invalid, "An image recipe needs a name and a suite of lower-case letters, digits and hyphens; %q and %q are not.", r.Name, r.Suite)
	}
	for _, p := range r.Packages {
		if !packagePattern.MatchString(p) {
			return fault.New(fault.Invalid, "%q in recipe %q is not the name of a Debian package.", p, r.Name)
		}
	}
	for _, p := range r.Remove {
		if _, err := path.Match(p, "/"); err != nil || !path.IsAbs(p) {
			return fault.New(fault.Invalid, "%q in recipe %q is not an absolute path pattern.", p, r.Name)
		}
	}
	for _, d := range r.Dirs {
		if _, err := d.mode(); err != nil || !path.IsAbs(d.Path) || path.Clean(d.Path) != d.Path {
			return fault.New(fault.Invalid, "Directory %q in recipe %q needs a clean absolute path and an octal mode.", d.Path, r.Name)
		}
	}
	for _, u := range r.Users {
		if !wordPattern.MatchString(u.Name) || u.UID <= 0 || u.UID > 65535 || !path.IsAbs(u.Home) {
			return fault.New(fault.Invalid, "User %q in recipe %q needs a plain name, an id in 1–65535 and an absolute home.", u.Name, r.Name)
		}
	}
	if r.Date.IsZero() {
		return fault.New(fault.Invalid, "Recipe %q has no date.", r.Name)
	}
	return nil
}

func (d Dir) mode() (int64, error) { return strconv.ParseInt(d.Mode, 8, 32) }

// onto returns r with what it inherits from parent.
func (r Recipe) onto(parent Recipe) Recipe {
	r.Packages = slices.Concat(parent.Packages, r.Packages)
	r.Exclude = slices.Concat(parent.Exclude, r.Exclude)
	r.Remove = slices.Concat(parent.Remove, r.Remove)
	r.Users = slices.Concat(parent.Users, r.Users)
	r.Dirs = slices.Concat(parent.Dirs, r.Dirs)
	r.Env = merge(parent.Env, r.Env)
	r.overlay = merge(parent.overlay, r.overlay)
	return r
}

func merge[V any](under, over map[string]V) map[string]V {
	all := map[string]V{}
	for k, v := range under {
		all[k] = v
	}
	for k, v := range over {
		all[k] = v
	}
	return all
}

// Digest identifies everything that the recipe says.
func (r Recipe) Digest() string {
	b, err := json.Marshal(struct {
		Recipe
		Overlay map[string][]byte
	}{r, r.overlay})
	if err != nil {
		panic(fmt.Sprintf("image: digest of a recipe: %v", err)) // strings and numbers always marshal
	}
	sum := sha256.Sum256(b)
	return "sha256:" + hex.EncodeToString(sum[:])
}
