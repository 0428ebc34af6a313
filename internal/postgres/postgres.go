// Package postgres is the managed PostgreSQL: what its container is, how it is
// set up for an app, what `heroku pg:info` shows of it.
//
// Invariants: only TLS and SCRAM lead into a database; an app's role owns its
// database and nothing else; passwords come from sealed values and go to the
// server over TLS inside the space. internal/reconcile keeps it running,
// internal/operation provisions and disposes of it.
package postgres

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"time"

	"github.com/strongroom/strongroom/internal/command/addons"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/driver"
	"github.com/strongroom/strongroom/internal/secret"
)

// Port that PostgreSQL listens on.
const Port = 5432

// UID of the postgres user in its image.
const UID = 26

// dataDir is where the image wants the volume, volumeDir what of it is mounted
// there: the volume's root belongs to nobody in the container.
const (
	dataDir   = "/var/lib/postgresql/data"
	volumeDir = "postgres"
)

// Volume is the encrypted volume of a database.
func Volume(a *document.Addon, key secret.Value) driver.Volume {
	return driver.Volume{ID: a.Volume, Space: a.Space, Bytes: a.Bytes, Key: key.Reveal()}
}

// quiet keeps rows and statements out of the server's log, which lies in the
// clear beside the app's: an error quotes the value that it is about, its detail
// the whole row, and the statement comes with it. Clients are told all the same.
// In the server's order LOG ranks above ERROR: connections, pgaudit's records of
// DDL and roles, and what ends the server are still logged. As arguments these
// win over every file, and only a superuser could change them, which no app is.
var quiet = []string{
	"-c", "log_min_messages=log", "-c", "log_min_error_statement=panic", "-c", "log_error_verbosity=terse",
	"-c", "log_statement=none", "-c", "log_min_duration_statement=-1", "-c", "log_duration=off",
	"-c", "log_parameter_max_length=0", "-c", "log_parameter_max_length_on_error=0", "-c", "pgaudit.log_parameter=off",
}

// Formation is the one container of a database. Only formations and tasks that
// name it as a peer reach it. admin is the superuser's password, which the
// server needs on its first start.
func Formation(a *document.Addon, image string, admin secret.Value) (driver.Formation, error) {
	_, plan, err := addons.FindPlan(a.Service + ":" + a.Plan)
	if err != nil {
		return driver.Formation{}, err
	}
	return driver.Formation{
		ID: a.ID, Space: a.Space, Name: a.Name, Revision: "v2." + image,
		Labels: driver.Labels{App: a.App, Source: "heroku", Type: "postgres"}, Quantity: 1, Private: true,
		Grace: 60 * time.Second, Boot: 3 * time.Minute,
		Process: driver.Process{
			Image: image, Args: append([]string{"/usr/local/bin/postgres-entrypoint"}, quiet...), UID: UID, Port: Port, ReadOnly: true,
			Dir: "/var/lib/postgresql",
			Env: []driver.EnvVar{
				{Name: "POSTGRES_PASSWORD", Value: string(admin.Reveal())},
				{Name: "PGDATA", Value: dataDir + "/pgdata"},
				{Name: "HOME", Value: "/var/lib/postgresql"},
				{Name: "LANG", Value: "C.UTF-8"},
				{Name: "PATH", Value: "/usr/local/bin:/usr/lib/postgresql/17/bin:/usr/bin:/bin"},
			},
			Limits: driver.Limits{MemoryBytes: plan.Memory, CPUMillis: plan.CPUMillis, PIDs: 512},
			Mounts: []driver.Mount{{Volume: a.Volume, Dir: volumeDir, Path: dataDir}},
		},
	}, nil
}

// Files is the tar stream that lays out a new volume: the directory that is
// mounted, owned by the server's user, with certificate and key where the image
// looks for them.
func Files(certPEM string, key secret.Value) (io.Reader, error) {
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, f := range []struct {
		name string
		data []byte // nil = a directory
	}{
		{volumeDir + "/", nil},
		{volumeDir + "/tls/", nil},
		{volumeDir + "/tls/server.crt", []byte(certPEM)},
		{volumeDir + "/tls/server.key", key.Reveal()},
	} {
		h := &tar.Header{Name: f.name, Mode: 0o600, Size: int64(len(f.data)), Uid: UID, Gid: UID, Typeflag: tar.TypeReg}
		if f.data == nil {
			h.Typeflag, h.Mode = tar.TypeDir, 0o700
		}
		if err := w.WriteHeader(h); err != nil {
			return nil, fmt.Errorf("lay out a database's volume: %w", err)
		}
		if _, err := w.Write(f.data); err != nil {
			return nil, fmt.Errorf("lay out a database's volume: %w", err)
		}
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("lay out a database's volume: %w", err)
	}
	return &buf, nil
}
