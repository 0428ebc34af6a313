// Package postgres is the managed PostgreSQL: what its container is, how it is
// set up for an app, what `heroku pg:info` shows of it.
//
// Invariants: only TLS and SCRAM lead into a database; an app's role owns its
// database and nothing else; passwords come from sealed values and go to the
// server over TLS inside the space; a full disk is an error in one transaction
// and does not end the server (start.sh). internal/reconcile keeps it running,
// internal/operation provisions and disposes of it.
package postgres

import (
	"archive/tar"
	"bytes"
	_ "embed"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/strongroom/strongroom/internal/command/addons"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/driver"
	"github.com/strongroom/strongroom/internal/secret"
)

// Port that PostgreSQL listens on.
const Port = 5432

// UID of the postgres user in its image.
const UID = 26

// dataDir is where the image wants the volume, serverDir is for the second one
// (start.sh), volumeDir what of each is mounted there: a volume's root belongs to
// nobody in the container.
const (
	dataDir   = "/var/lib/postgresql/data"
	serverDir = "/var/lib/postgresql/server"
	volumeDir = "postgres"
)

const (
	mebi = 1 << 20
	gibi = 1 << 30
)

// VolumeIDs of a database: what people fill, which the add-on names, and what
// the server needs room in when that is full.
func VolumeIDs(a *document.Addon) (data, server string) {
	return a.Volume, uuid.NewSHA1(uuid.MustParse(a.Volume), []byte("server")).String()
}

// Volumes are the encrypted volumes of a database. The second one's key comes
// from the first one's: who destroys that has destroyed both.
func Volumes(a *document.Addon, key secret.Value) ([]driver.Volume, error) {
	data, server := VolumeIDs(a)
	derived, err := secret.Derive(key.Reveal(), "postgres-server/"+server, len(key.Reveal()))
	if err != nil {
		return nil, err
	}
	return []driver.Volume{
		{ID: data, Space: a.Space, Bytes: a.Bytes, Key: key.Reveal()},
		{ID: server, Space: a.Space, Bytes: 4*maxLog(a) + gibi, Key: derived},
	}, nil
}

// maxLog is how long the log may become before a checkpoint makes it short
// again. It is no hard bound: the volume that it lies on has four times as much.
func maxLog(a *document.Addon) int64 { return min(max(a.Bytes/16/mebi*mebi, 64*mebi), gibi) }

// start lays a database out over its volumes and runs the image's entrypoint.
//
//go:embed start.sh
var start string

// arguments of the container of a database.
func arguments(a *document.Addon) []string {
	size := strconv.FormatInt(maxLog(a)/mebi, 10)
	return append([]string{"/bin/sh", "-c", start, "start.sh", size, "-c", "max_wal_size=" + size + "MB", "-c", "checkpoint_warning=0"}, quiet...)
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
	data, server := VolumeIDs(a)
	return driver.Formation{
		ID: a.ID, Space: a.Space, Name: a.Name, Revision: "v3." + image,
		Labels: driver.Labels{App: a.App, Source: "heroku", Type: "postgres"}, Quantity: 1, Private: true,
		Grace: 60 * time.Second, Boot: 3 * time.Minute,
		Process: driver.Process{
			Image: image, Args: arguments(a), UID: UID, Port: Port, ReadOnly: true,
			Dir: "/var/lib/postgresql",
			Env: []driver.EnvVar{
				{Name: "POSTGRES_PASSWORD", Value: string(admin.Reveal())},
				{Name: "PGDATA", Value: serverDir + "/pgdata"},
				{Name: "HOME", Value: "/var/lib/postgresql"},
				{Name: "LANG", Value: "C.UTF-8"},
				{Name: "PATH", Value: "/usr/local/bin:/usr/lib/postgresql/17/bin:/usr/bin:/bin"},
			},
			Limits: driver.Limits{MemoryBytes: plan.Memory, CPUMillis: plan.CPUMillis, PIDs: 512},
			Mounts: []driver.Mount{{Volume: data, Dir: volumeDir, Path: dataDir}, {Volume: server, Dir: volumeDir, Path: serverDir}},
		},
	}, nil
}

// Files is the tar stream that lays out a new data volume: the directory that is
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
