package build

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"time"

	"github.com/strongroom/strongroom/internal/driver"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/image"
)

// Where the parts of a build lie inside its container.
const (
	appPath   = "/app"
	cachePath = "/cache"
	inputPath = "/build"
	workPath  = "/work"
)

// Directories of the scratch volume.
const (
	appDir   = "app"
	inputDir = "input"
	workDir  = "work"
	cacheDir = "cache" // of the scratch volume without a cache volume, else of that
)

// scratch makes the build's volume. Its key exists nowhere else.
func (b *Builder) scratch(ctx context.Context, in Input) error {
	key := make([]byte, 64)
	if _, err := rand.Read(key); err != nil {
		return err
	}
	return b.driver.EnsureVolume(ctx, driver.Volume{ID: in.BuildID, Space: in.Space, Bytes: b.config.ScratchBytes, Key: key})
}

// discard destroys a build's volume, whatever became of the build. A process
// that was just ended may still hold a file for a moment.
func (b *Builder) discard(ctx context.Context, build string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	for {
		_, err := b.driver.DestroyVolume(ctx, build)
		if err == nil || fault.Of(err) == fault.NotFound {
			return nil
		}
		select {
		case <-ctx.Done():
			b.config.Log.ErrorContext(ctx, "build's scratch volume is left", "build", build, "error", err)
			return err
		case <-time.After(500 * time.Millisecond):
		}
	}
}

// stage puts the source and the runner's input onto the volume.
func (b *Builder) stage(ctx context.Context, in Input, source *tree, input []image.Entry) error {
	if err := b.put(ctx, in.BuildID, "", nil, []image.Entry{
		image.Directory(appDir, 0o755, UID), image.Directory(inputDir, 0o755, UID),
		image.Directory(workDir, 0o755, UID), image.Directory(cacheDir, 0o755, UID),
	}); err != nil {
		return err
	}
	if err := b.put(ctx, in.BuildID, inputDir, nil, input); err != nil {
		return err
	}
	return b.put(ctx, in.BuildID, appDir, source.file, source.under(""))
}

// withCache gives in without its cache if that cannot be written.
func (b *Builder) withCache(ctx context.Context, in Input) Input {
	if in.CacheVolume == "" {
		return in
	}
	if err := b.put(ctx, in.CacheVolume, "", nil, []image.Entry{image.Directory(cacheDir, 0o755, UID)}); err != nil {
		b.config.Log.WarnContext(ctx, "build goes without its cache", "build", in.BuildID, "volume", in.CacheVolume, "error", err)
		in.CacheVolume = ""
	}
	return in
}

func (b *Builder) put(ctx context.Context, volume, dir string, src io.ReaderAt, entries []image.Entry) error {
	r, w := io.Pipe()
	go func() { w.CloseWithError(image.WriteLayer(w, src, entries, epoch)) }()
	defer r.Close() // ends the writer if the driver stops reading
	if err := b.driver.PutFiles(ctx, volume, dir, r); err != nil {
		return fmt.Errorf("put files for the build: %w", err)
	}
	return nil
}

// run runs the buildpacks and passes their output on.
func (b *Builder) run(ctx context.Context, in Input, p plan, out *output) error {
	ctx, cancel := context.WithTimeout(ctx, b.config.Timeout)
	defer cancel()
	session, err := b.driver.StartTask(ctx, b.task(in, p))
	if err != nil {
		return fmt.Errorf("start the build container: %w", err)
	}
	defer session.Close()
	stop := context.AfterFunc(ctx, func() {
		bare, done := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
		defer done()
		if err := b.driver.StopTask(bare, in.BuildID); err != nil {
			b.config.Log.ErrorContext(bare, "build is not stopped", "build", in.BuildID, "error", err)
		}
		session.Close()
	})
	defer stop()
	if err := session.CloseWrite(); err != nil {
		b.config.Log.DebugContext(ctx, "build input", "build", in.BuildID, "error", err)
	}
	_, copyErr := io.Copy(out, session)
	exit, err := session.Wait(ctx)
	if ctx.Err() != nil {
		return b.stopped(ctx)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("wait for the build container: %w", err), copyErr)
	}
	err = b.verdict(exit)
	if err != nil && !exit.OOMKilled && b.full(ctx, in.BuildID) {
		return fault.New(fault.Invalid, "The build failed: it filled its disk of %d MiB.", b.config.ScratchBytes>>20)
	}
	return err
}

// full tells whether a volume has no room left, if the engine knows.
func (b *Builder) full(ctx context.Context, volume string) bool {
	o, err := b.driver.Observe(ctx)
	if err != nil {
		return false
	}
	return slices.ContainsFunc(o.Volumes, func(v driver.ObservedVolume) bool {
		return v.ID == volume && v.Bytes > 0 && v.Bytes-v.Used < v.Bytes/100
	})
}

func (b *Builder) stopped(ctx context.Context) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fault.New(fault.Invalid, "The build did not end within %v and was stopped.", b.config.Timeout)
	}
	return fault.Wrap(fault.Conflict, context.Cause(ctx), "The build was cancelled.")
}

func (b *Builder) task(in Input, p plan) driver.Task {
	cacheVolume := in.CacheVolume
	if cacheVolume == "" {
		cacheVolume = in.BuildID
	}
	return driver.Task{
		ID:     in.BuildID,
		Space:  in.Space,
		Labels: driver.Labels{App: in.App, Source: "heroku", Type: "build"},
		Name:   "build." + in.BuildID[:8],
		Attach: true,
		// Builds of others use the same network at the same time.
		Private: true,
		// A little more than our own bound, for when nobody is left to stop it.
		Timeout: b.config.Timeout + time.Minute,
		Process: driver.Process{
			Image:    b.config.BuildImage,
			Args:     []string{"/bin/bash", filepath.Join(inputPath, "run.sh")},
			Env:      b.environment(in, p),
			Dir:      appPath,
			UID:      UID,
			Limits:   b.config.Limits,
			ReadOnly: true,
			Mounts: []driver.Mount{
				{Volume: in.BuildID, Dir: appDir, Path: appPath},
				{Volume: in.BuildID, Dir: inputDir, Path: inputPath, ReadOnly: true},
				{Volume: in.BuildID, Dir: workDir, Path: workPath},
				{Volume: cacheVolume, Dir: cacheDir, Path: cachePath},
			},
		},
	}
}

// environment is the platform's part; config vars are files in ENV_DIR.
func (b *Builder) environment(in Input, p plan) []driver.EnvVar {
	mode := "all"
	if p.detect {
		mode = "detect"
	}
	env := []driver.EnvVar{
		{Name: "APP_DIR", Value: appPath},
		{Name: "CACHE_DIR", Value: cachePath},
		{Name: "INPUT_DIR", Value: inputPath},
		{Name: "WORK_DIR", Value: workPath},
		{Name: "MODE", Value: mode},
		{Name: "STACK", Value: Stack},
		{Name: "HOME", Value: appPath},
		{Name: "LANG", Value: "C.UTF-8"},
		{Name: "PATH", Value: "/usr/local/bin:/usr/bin:/bin"},
		{Name: "REQUEST_ID", Value: in.BuildID},
		{Name: "SOURCE_VERSION", Value: in.Commit},
	}
	for _, v := range []driver.EnvVar{
		{Name: "npm_config_registry", Value: b.config.Registry.NPM},
		{Name: "https_proxy", Value: b.config.Registry.HTTPSProxy},
		{Name: "HTTPS_PROXY", Value: b.config.Registry.HTTPSProxy},
		{Name: "no_proxy", Value: b.config.Registry.NoProxy},
		{Name: "NO_PROXY", Value: b.config.Registry.NoProxy},
	} {
		if v.Value != "" {
			env = append(env, v)
		}
	}
	return env
}

// verdict turns the runner's exit into what the user is told.
func (b *Builder) verdict(exit driver.Exit) error {
	switch {
	case exit.OOMKilled:
		return fault.New(fault.Invalid, "The build used more memory than its bound of %d MiB.", b.config.Limits.MemoryBytes>>20)
	case exit.Code == 0:
		return nil
	case exit.Code == 90:
		return fault.New(fault.Invalid, "No built-in buildpack recognises this app.")
	case exit.Code == 91:
		return fault.New(fault.Invalid, "A buildpack that is set does not recognise this app.")
	case exit.Code == 92:
		return fault.New(fault.Invalid, "A buildpack could not be fetched.")
	case exit.Code == 93:
		return fault.New(fault.Invalid, "A buildpack is broken.")
	case exit.Code > 128:
		return fault.New(fault.Invalid, "The build was ended by signal %d.", exit.Code-128)
	}
	return fault.New(fault.Invalid, "The build failed. Its output says why.")
}
