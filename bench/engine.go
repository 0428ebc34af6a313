package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"

	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/driver"
	"github.com/strongroom/strongroom/internal/driver/remote"
)

// engine talks to the installation's engine as its server does, beside the
// ledger: what is measured by it is what recording is compared with.
func (s *site) engine() *remote.Client { return remote.Dial(filepath.Join(s.run, "engine.sock")) }

// instance finds a dyno of an app's web process.
func (s *site) instance(ctx context.Context, e *remote.Client, app string) (string, error) {
	var shown struct {
		ID string `json:"id"`
	}
	if err := s.call(ctx, "developer", "GET", "/apps/"+app+"/formation/web", nil, &shown); err != nil {
		return "", err
	}
	o, err := e.Observe(ctx)
	if err != nil {
		return "", err
	}
	i := slices.IndexFunc(o.Instances, func(i driver.Instance) bool { return i.Formation == shown.ID && i.State == driver.Up })
	if i < 0 {
		return "", fmt.Errorf("no dyno of %s is up", app)
	}
	return o.Instances[i].ID, nil
}

// unrecorded starts a process in the app's dyno.
func (s *site) unrecorded(ctx context.Context) (io.ReadWriteCloser, error) {
	e := s.engine()
	id, err := s.instance(ctx, e, "echo")
	if err != nil {
		return nil, errors.Join(err, e.Close())
	}
	return e.Exec(ctx, driver.Exec{
		ID: document.NewID(), Container: id, Args: []string{"/bin/sh", "-c", program},
		Env: []driver.EnvVar{{Name: "TERM", Value: "xterm"}}, TTY: true, Rows: 24, Cols: 80,
	})
}
