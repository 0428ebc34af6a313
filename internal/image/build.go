package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/strongroom/strongroom/internal/fault"
)

// Options of Build; the zero value builds with the host's apt mirrors.
type Options struct {
	// Sources are apt source lines to build from. Empty: as the host's own apt
	// is configured, for the recipe's suite.
	Sources []string
	// Force builds although an archive of the same recipe is there: to take
	// the distribution's newest packages.
	Force bool
	// Epoch is the time of every file. Zero: SOURCE_DATE_EPOCH of the
	// environment, else the recipe's date.
	Epoch time.Time
}

// Build makes the image of the recipe in directory name of recipes and writes
// it as an archive to out, atomically. An archive that is already there and
// was made by the same recipe for the same suite is kept. It runs mmdebstrap,
// which needs root or an unprivileged user namespace; its output goes to
// progress.
func Build(ctx context.Context, recipes fs.FS, name, out string, opts Options, progress io.Writer) (Info, error) {
	recipe, err := Load(recipes, name)
	if err != nil {
		return Info{}, err
	}
	if !opts.Force {
		if info, ok := current(out, recipe); ok {
			return info, nil
		}
	}
	work, err := os.MkdirTemp(filepath.Dir(out), ".image-")
	if err != nil {
		return Info{}, err
	}
	defer os.RemoveAll(work)

	rootfs := filepath.Join(work, "rootfs.tar")
	if err := bootstrap(ctx, recipe, opts, rootfs, progress); err != nil {
		return Info{}, err
	}
	img, err := assemble(recipe, epoch(recipe, opts), rootfs, filepath.Join(work, "layer.tar.gz"))
	if err != nil {
		return Info{}, err
	}
	if err := writeFile(out, img, "strongroom/"+recipe.Name+":"+recipe.Suite); err != nil {
		return Info{}, err
	}
	return infoOf(img)
}

// current reports what lies at out if it is this recipe's.
func current(out string, r Recipe) (Info, bool) {
	info, err := ReadInfo(out)
	if err != nil {
		return Info{}, false
	}
	return info, info.RecipeDigest == r.Digest() && info.Suite == r.Suite
}

func epoch(r Recipe, opts Options) time.Time {
	if !opts.Epoch.IsZero() {
		return opts.Epoch.UTC()
	}
	if n, err := strconv.ParseInt(os.Getenv("SOURCE_DATE_EPOCH"), 10, 64); err == nil {
		return time.Unix(n, 0).UTC()
	}
	return r.Date.UTC()
}

// bootstrap runs mmdebstrap into a tar file.
func bootstrap(ctx context.Context, r Recipe, opts Options, out string, progress io.Writer) error {
	sources := opts.Sources
	if len(sources) == 0 {
		var err error
		if sources, err = Sources(os.DirFS("/"), r.Suite); err != nil {
			return err
		}
	}
	args := []string{
		"--variant=essential", "--format=tar", "--architectures=" + runtime.GOARCH,
		"--include=" + strings.Join(r.Packages, ","),
		`--aptopt=APT::Install-Recommends "false"`,
	}
	for _, pattern := range r.Exclude {
		args = append(args, "--dpkgopt=path-exclude="+pattern)
	}
	args = append(args, r.Suite, out)
	cmd := exec.CommandContext(ctx, "mmdebstrap", append(args, sources...)...)
	cmd.Env = []string{
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8", "DEBIAN_FRONTEND=noninteractive",
		fmt.Sprintf("SOURCE_DATE_EPOCH=%d", epoch(r, opts).Unix()), "TMPDIR=" + filepath.Dir(out),
	}
	cmd.Stdout, cmd.Stderr = progress, progress
	// It removes its chroot on SIGINT; killed, it would leave mounts behind.
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 30 * time.Second
	if err := cmd.Run(); err != nil {
		if errors.Is(err, exec.ErrNotFound) {
			return fault.Wrap(fault.Unavailable, err, "mmdebstrap is not installed; images are built with it.")
		}
		return fmt.Errorf("mmdebstrap for image %s: %w", r.Name, err)
	}
	return nil
}

// assemble turns mmdebstrap's tar into an image of one layer.
func assemble(r Recipe, date time.Time, rootfs, layer string) (v1.Image, error) {
	f, err := os.Open(rootfs)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	entries, err := ReadEntries(f)
	if err != nil {
		return nil, err
	}
	packages, err := packagesOf(f, entries)
	if err != nil {
		return nil, err
	}
	if entries, err = furnish(r, f, entries); err != nil {
		return nil, err
	}
	b, err := compressLayer(layer, func(w io.Writer) error { return WriteLayer(w, f, entries, date) })
	if err != nil {
		return nil, err
	}
	return withConfig(r, date, b, packages)
}

// writeFile writes the archive beside out and renames it into place.
func writeFile(out string, img v1.Image, ref string) (err error) {
	f, err := os.CreateTemp(filepath.Dir(out), ".archive-")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	defer f.Close()
	if _, err := writeArchive(f, img, ref); err != nil {
		return fmt.Errorf("write image archive: %w", err)
	}
	// Who builds images is not who reads them: the server has a uid of its own.
	if err := errors.Join(f.Chmod(0o644), f.Sync()); err != nil {
		return err
	}
	return os.Rename(f.Name(), out)
}
