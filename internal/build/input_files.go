package build

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/strongroom/strongroom/internal/build/buildpack"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/image"
	"github.com/strongroom/strongroom/internal/packref"
)

// epoch is the time of every file in a build and in an app's layer, so that
// equal content gives equal digests.
var epoch = time.Unix(946684800, 0).UTC() // 2000-01-01

// maxBuildpackBytes bounds a buildpack that is copied into the container.
const maxBuildpackBytes = 64 << 20

// inputFiles are what the runner script reads: order, env, buildpacks.
func (b *Builder) inputFiles(in Input, p plan) ([]image.Entry, []BuildpackUsed, error) {
	entries := []image.Entry{
		image.Directory("env", 0o755, UID), image.Directory("buildpacks", 0o755, UID),
		image.File("run.sh", 0o755, UID, buildpack.Runner),
	}
	if len(b.config.Registry.CA) > 0 {
		entries = append(entries, image.File("ca.pem", 0o644, UID, b.config.Registry.CA))
	}
	for _, v := range in.Env {
		if !namePattern.MatchString(v.Name) {
			continue // not the name of an environment variable: no buildpack can use it
		}
		entries = append(entries, image.File("env/"+v.Name, 0o600, UID, []byte(v.Value)))
	}
	var order strings.Builder
	var used []BuildpackUsed
	for i, ref := range p.buildpacks {
		fmt.Fprintf(&order, "%d\t%s\t%s\t%s\n", i, ref.Kind, nameOf(ref), ref.Branch)
		u, files, err := b.buildpackFiles(i, ref)
		if err != nil {
			return nil, nil, err
		}
		used, entries = append(used, u), append(entries, files...)
	}
	return append(entries, image.File("order", 0o644, UID, []byte(order.String()))), used, nil
}

func nameOf(ref packref.Ref) string {
	if ref.Kind == packref.Git {
		return ref.URL
	}
	return ref.Name
}

// buildpackFiles returns a buildpack's files, unless the container fetches it.
func (b *Builder) buildpackFiles(i int, ref packref.Ref) (BuildpackUsed, []image.Entry, error) {
	used := BuildpackUsed{Name: ref.String(), URL: ref.URL}
	var files fs.FS
	switch ref.Kind {
	case packref.Git:
		return used, nil, nil
	case packref.Directory:
		dir := filepath.Join(b.config.BuildpackDir, ref.Name)
		if info, err := os.Stat(dir); b.config.BuildpackDir == "" || err != nil || !info.IsDir() {
			return used, nil, fault.New(fault.Invalid, "There is no buildpack %q on this platform. Give the https URL of its git repository.", ref.Name)
		}
		files = os.DirFS(dir)
	default:
		var err error
		if files, err = buildpack.Open(ref.Name); err != nil {
			return used, nil, err
		}
	}
	entries, err := copyBuildpack(fmt.Sprintf("buildpacks/%d", i), ref, files)
	if err != nil {
		return used, nil, err
	}
	used.Digest, err = buildpack.Digest(files)
	return used, entries, err
}

func copyBuildpack(to string, ref packref.Ref, files fs.FS) ([]image.Entry, error) {
	entries := []image.Entry{image.Directory(to, 0o755, UID)}
	var total int64
	err := fs.WalkDir(files, ".", func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil || p == ".":
			return err
		case d.Name() == ".git":
			return fs.SkipDir
		case d.IsDir():
			entries = append(entries, image.Directory(path.Join(to, p), 0o755, UID))
			return nil
		case !d.Type().IsRegular():
			return fault.New(fault.Invalid, "The buildpack %q has %q, which is not a plain file.", ref.Name, p)
		}
		raw, err := fs.ReadFile(files, p)
		if err != nil {
			return err
		}
		if total += int64(len(raw)); total > maxBuildpackBytes {
			return fault.New(fault.TooLarge, "The buildpack %q is larger than %d MiB.", ref.Name, maxBuildpackBytes>>20)
		}
		entries = append(entries, image.File(path.Join(to, p), modeOf(p, raw), UID, raw))
		return nil
	})
	return entries, err
}

// modeOf: an embedded file has lost its mode; scripts begin with "#!".
func modeOf(name string, raw []byte) int64 {
	if strings.HasPrefix(string(raw[:min(2, len(raw))]), "#!") || strings.HasPrefix(name, "bin/") {
		return 0o755
	}
	return 0o644
}
