package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/pprof"
	"time"
)

// bench is one run of the program.
type bench struct {
	entries  int64
	runs     int
	slice    time.Duration
	cache    string
	out      io.Writer
	progress io.Writer

	keep    bool  // the installation, at the end
	demo    bool  // an installation was begun
	running *site // nil: none yet

	began   time.Time
	temp    string // directory of this run, removed at its end
	results []Result
}

// measure runs the figures one after the other.
func (b *bench) measure(ctx context.Context, list []figure, profile string) (err error) {
	b.began = time.Now()
	if b.cache, err = filepath.Abs(b.cache); err != nil {
		return err
	}
	if err := os.MkdirAll(b.cache, 0o755); err != nil {
		return err
	}
	// Beside the cache and not in /tmp, which may be memory.
	if b.temp, err = os.MkdirTemp(b.cache, "run-"); err != nil {
		return err
	}
	defer os.RemoveAll(b.temp)
	defer func() { err = errors.Join(err, b.clean()) }()
	if err := os.Chmod(b.temp, 0o755); err != nil { // the peers run as other users
		return err
	}
	if profile != "" {
		f, err := os.Create(profile)
		if err != nil {
			return err
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	for _, f := range list {
		at := time.Now()
		b.say("%s: %s", f.name, f.what)
		if err := f.run(ctx, b); err != nil {
			return fmt.Errorf("%s: %w", f.name, err)
		}
		b.say("%s took %s", f.name, time.Since(at).Round(time.Second/10))
	}
	return nil
}

func (b *bench) say(format string, args ...any) {
	fmt.Fprintf(b.progress, format+"\n", args...)
}

// dir makes a directory for one measurement; the caller removes it.
func (b *bench) dir() (path string, remove func(), err error) {
	path, err = os.MkdirTemp(b.temp, "m-")
	if err != nil {
		return "", nil, err
	}
	return path, func() { os.RemoveAll(path) }, os.Chmod(path, 0o755)
}
