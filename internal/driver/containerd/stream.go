package containerd

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"github.com/containerd/containerd/v2/pkg/cio"
	"github.com/strongroom/strongroom/internal/spool"
	"golang.org/x/sys/unix"
)

// The two output streams of a container.
var outputs = []string{"out", "err"}

func streamID(container, output string) string { return container + "." + output }

// openStreams makes the FIFOs of a container's output and has spool read them,
// before anything can write: without a reader the container would stand still.
func (d *Driver) openStreams(ctx context.Context, r record) (cio.Creator, error) {
	dir := filepath.Join(d.dirs.streams, r.ID)
	if err := os.Mkdir(dir, 0o711); err != nil {
		return nil, err
	}
	for _, output := range outputs {
		if err := d.openStream(ctx, r, output, filepath.Join(dir, output)); err != nil {
			return nil, err
		}
	}
	return func(string) (cio.IO, error) {
		return fifos{Stdout: filepath.Join(dir, outputs[0]), Stderr: filepath.Join(dir, outputs[1])}, nil
	}, nil
}

func (d *Driver) openStream(ctx context.Context, r record, output, path string) error {
	if err := errors.Join(unix.Mkfifo(path, 0o600), os.Chown(path, d.cfg.SpoolUID, d.cfg.SpoolUID)); err != nil {
		return err
	}
	// Held open by root for the moment, so that the pipe counts as root's.
	f, err := os.OpenFile(path, os.O_RDWR|unix.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	source := r.Labels.Source
	if source == "" {
		source = "app"
	}
	return d.cfg.Logs.Open(ctx, spool.Stream{
		ID: streamID(r.ID, output), Space: r.Space, App: r.Labels.App, Source: source, Dyno: r.Dyno, Path: path,
	})
}

// closeStreams has spool read to the end, then removes the FIFOs.
func (d *Driver) closeStreams(ctx context.Context, r record) error {
	if r.Attach {
		return nil
	}
	var err error
	for _, output := range outputs {
		err = errors.Join(err, d.cfg.Logs.Close(ctx, streamID(r.ID, output)))
	}
	if err != nil {
		return err
	}
	return os.RemoveAll(filepath.Join(d.dirs.streams, r.ID))
}

// fifos are paths of a process's streams. Nothing is copied here.
type fifos cio.Config

func (f fifos) Config() cio.Config { return cio.Config(f) }
func (fifos) Cancel()              {}
func (fifos) Wait()                {}
func (fifos) Close() error         { return nil }
