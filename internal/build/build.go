package build

import (
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/strongroom/strongroom/internal/build/buildpack"
	"github.com/strongroom/strongroom/internal/driver"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/image"
)

// Stack is the name of what apps are built for and run on.
const Stack = "strongroom-13" // Debian 13

// workPattern begins the names of builds' directories.
const workPattern = "build-"

// Build builds in. What the build says goes to out as it comes, in the form
// that Heroku's users know. A fault of kind Invalid or TooLarge is the app's,
// any other the platform's. Building the same input twice is harmless, but not
// at the same time under one BuildID.
func (b *Builder) Build(ctx context.Context, in Input, out io.Writer) (Result, error) {
	if err := check(in); err != nil {
		return Result{}, err
	}
	work, err := os.MkdirTemp(b.config.WorkDir, workPattern)
	if err != nil {
		return Result{}, err
	}
	defer os.RemoveAll(work)

	r := Result{Stack: Stack, Started: b.config.Now().UTC()}
	o := newOutput(out, b.config.MaxLog)
	o.step("Building on the %s stack", Stack)
	source, err := readTree(in.Source, filepath.Join(work, "source.tar"), b.sourceRules())
	if err != nil {
		return Result{}, err
	}
	defer source.Close()
	r.Source = source.digest
	p, err := newPlan(source, in.Buildpacks)
	if err != nil {
		return Result{}, err
	}
	slug, found, err := b.compile(ctx, in, p, source, work, o)
	if err != nil {
		return Result{}, err
	}
	defer slug.Close()
	if err := b.describe(&r, p, slug, found, o); err != nil {
		return Result{}, err
	}
	unused(in, r, o)
	if err := b.finish(ctx, in, &r, slug, found, work, o); err != nil {
		return Result{}, err
	}
	return r, nil
}

func check(in Input) error {
	for what, id := range map[string]string{"build": in.BuildID, "app": in.App, "space": in.Space} {
		if err := driver.CheckID(what, id); err != nil {
			return err
		}
	}
	if in.Source == nil {
		return fault.New(fault.Invalid, "A build needs a source.")
	}
	return nil
}

// compile runs the buildpacks over the source and returns what they left.
func (b *Builder) compile(ctx context.Context, in Input, p plan, source *tree, work string, o *output) (*tree, findings, error) {
	input, used, err := b.inputFiles(in, p)
	if err != nil {
		return nil, findings{}, err
	}
	for _, u := range used {
		if !p.detect {
			o.step("Using buildpack: %s", u.Name)
		}
	}
	if p.submodules {
		o.line("Warning: the source has git submodules, which are not fetched.")
	}
	defer func() { b.discard(ctx, in.BuildID) }() // it logs what it leaves, for Recover
	if err := b.scratch(ctx, in); err != nil {
		return nil, findings{}, fmt.Errorf("make the build's volume: %w", err)
	}
	if err := b.stage(ctx, in, source, input); err != nil {
		return nil, findings{}, err
	}
	if err := b.run(ctx, b.withCache(ctx, in), p, o); err != nil {
		return nil, findings{}, err
	}
	found, err := b.collect(ctx, in, used, work)
	if err != nil {
		return nil, findings{}, err
	}
	slug, err := b.fetch(ctx, in.BuildID, appDir, filepath.Join(work, "slug.tar"), b.slugRules())
	return slug, found, err
}

// fetch reads a directory of a volume.
func (b *Builder) fetch(ctx context.Context, volume, dir, name string, rule rules) (*tree, error) {
	r, err := b.driver.GetFiles(ctx, volume, dir)
	if err != nil {
		return nil, fmt.Errorf("get files of the build: %w", err)
	}
	defer r.Close()
	return readTree(r, name, rule)
}

// findings are what the runner script left besides the slug.
type findings struct {
	used       []BuildpackUsed
	release    buildpack.Release // of all, later ones win
	components []component       // what buildpacks say they installed
}

// collect reads the runner's results. Buildpacks may have written there what
// they like: names are ours, contents are bounded and parsed.
func (b *Builder) collect(ctx context.Context, in Input, packs []BuildpackUsed, work string) (findings, error) {
	rule := rules{what: "build's result", maxBytes: 4 << 20, maxFiles: 200, outside: func(string) bool { return false }}
	t, err := b.fetch(ctx, in.BuildID, workDir+"/out", filepath.Join(work, "out.tar"), rule)
	if err != nil {
		return findings{}, err
	}
	defer t.Close()
	f := findings{release: buildpack.Release{ProcessTypes: map[string]string{}, ConfigVars: map[string]string{}}}
	for i, u := range packs {
		if !t.has(fmt.Sprintf("%d.name", i)) {
			continue
		}
		commit, err := t.read(fmt.Sprintf("%d.commit", i), 100)
		if err != nil {
			return findings{}, err
		}
		u.Commit = strings.TrimSpace(string(commit))
		f.used = append(f.used, u)
		raw, err := t.read(fmt.Sprintf("%d.release", i), 64<<10)
		if err != nil {
			return findings{}, err
		}
		release, err := buildpack.ParseRelease(raw)
		if err != nil {
			return findings{}, err
		}
		maps.Copy(f.release.ProcessTypes, release.ProcessTypes)
		maps.Copy(f.release.ConfigVars, release.ConfigVars)
	}
	raw, err := t.read("components", 1<<20)
	if err != nil {
		return findings{}, err
	}
	f.components = parseComponents(raw)
	return f, nil
}

// describe fills in what the app runs.
func (b *Builder) describe(r *Result, p plan, slug *tree, found findings, o *output) error {
	procfile, err := procfileOf(slug) // a buildpack may have written one
	if err != nil {
		return err
	}
	o.step("Discovering process types")
	if names := procfile.names(); len(names) > 0 {
		o.line("Procfile declares types -> %s", strings.Join(names, ", "))
	}
	all := procfile.withDefaults(found.release.ProcessTypes)
	if len(procfile.names()) == 0 {
		if len(all.names()) == 0 {
			o.line("Warning: there is no Procfile and no default; nothing will run.")
		} else {
			o.line("Default types for buildpack -> %s", strings.Join(all.names(), ", "))
		}
	}
	r.ProcessTypes, r.Release = all.Types, all.Release
	r.Buildpacks = found.used
	r.Formation = p.manifest.Formation
	r.ConfigVars = merge(found.release.ConfigVars, p.manifest.defaults())
	r.SlugBytes = slug.bytes
	return nil
}

// unused tells what the app or a buildpack states for a first release and this
// platform leaves to people: config is set, and dynos are scaled, by somebody
// whose name is on record.
func unused(in Input, r Result, o *output) {
	set := map[string]bool{}
	for _, v := range in.Env {
		set[v.Name] = true
	}
	for _, name := range slices.Sorted(maps.Keys(r.ConfigVars)) {
		if !set[name] {
			o.line("Warning: the config var %s is not set. Its default is not taken over; set it with: heroku config:set %s=...", name, name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(r.Formation)) {
		o.line("Warning: the formation in app.json is not taken over; scale with: heroku ps:scale %s=%d", name, r.Formation[name].Quantity)
	}
}

func merge(under, over map[string]string) map[string]string {
	all := map[string]string{}
	maps.Copy(all, under)
	maps.Copy(all, over)
	return all
}

// finish makes the image and the statements about it.
func (b *Builder) finish(ctx context.Context, in Input, r *Result, slug *tree, found findings, work string, o *output) error {
	o.step("Compressing...")
	archive := filepath.Join(work, "image.tar")
	digest, layer, err := b.pack(ctx, in, r, slug, archive)
	if err != nil {
		return err
	}
	if r.Image, err = b.load(ctx, archive); err != nil {
		return err
	}
	if r.Image != digest {
		return fmt.Errorf("the engine says that image %s is %s", digest, r.Image)
	}
	r.SlugDigest = layer
	o.line("Done: %.1fM", float64(r.SlugBytes)/(1<<20))
	r.Log = o.digest()
	r.Finished = b.config.Now().UTC()
	if r.SBOM, err = b.billOfMaterials(in, *r, slug, found); err != nil {
		return err
	}
	r.Provenance, err = b.provenance(ctx, in, *r, found)
	return err
}

// pack writes the image's archive: the base and the slug as one layer.
func (b *Builder) pack(ctx context.Context, in Input, r *Result, slug *tree, out string) (digest, layer string, err error) {
	config := image.Config{
		Ref:     "strongroom/app:" + in.App,
		WorkDir: appPath,
		Author:  "strongroom build",
		Date:    epoch,
		Labels: map[string]string{
			"dev.strongroom.app":                in.App,
			"org.opencontainers.image.title":    in.AppName,
			"org.opencontainers.image.revision": in.Commit,
			"org.opencontainers.image.created":  epoch.Format("2006-01-02T15:04:05Z"),
		},
	}
	entries := append([]image.Entry{image.Directory("app", 0o755, UID)}, slug.under("app")...)
	sum := newOutput(nil, 1<<62)
	digest, err = image.Append(ctx, b.config.BaseArchive, out, config, func(w io.Writer) error {
		return image.WriteLayer(io.MultiWriter(w, sum), slug.file, entries, epoch)
	})
	return digest, sum.digest(), err
}

func (b *Builder) load(ctx context.Context, archive string) (string, error) {
	f, err := os.Open(archive)
	if err != nil {
		return "", err
	}
	defer f.Close()
	digest, err := b.driver.ImportImage(ctx, f)
	if err != nil {
		return "", fmt.Errorf("import the app's image: %w", err)
	}
	return digest, nil
}
