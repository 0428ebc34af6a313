package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// postgres is a private server of the distribution's PostgreSQL: on a unix
// socket only, in directories of its own, gone with close.
type postgres struct {
	version string
	socket  string // directory
	cmd     *exec.Cmd
	remove  func()
}

// errNoPostgres is not a failure of ours: the figure is then without that peer.
var errNoPostgres = errors.New("no PostgreSQL server is installed (Debian: postgresql)")

// settings give the peer memory enough and no checkpoint in the middle of a
// run; durability stays as it is by default: fsync and synchronous_commit on.
var settings = []string{
	"listen_addresses=", "shared_buffers=512MB", "max_wal_size=1GB", "checkpoint_timeout=30min", "wal_level=minimal",
	"max_wal_senders=0", "autovacuum=off", "logging_collector=off", "jit=off", "max_connections=20",
}

func startPostgres(ctx context.Context, dir string) (*postgres, error) {
	bin, version := findPostgres()
	if bin == "" {
		return nil, errNoPostgres
	}
	attr, uid, err := postgresUser()
	if err != nil {
		return nil, err
	}
	// A socket's path may have 107 bytes only.
	socket, err := os.MkdirTemp("", "pg-")
	if err != nil {
		return nil, err
	}
	data := filepath.Join(dir, "pg")
	p := &postgres{version: version, socket: socket, remove: func() { os.RemoveAll(socket); os.RemoveAll(data) }}
	if err := errors.Join(os.Mkdir(data, 0o700), os.Chown(data, uid, -1), os.Chown(socket, uid, -1)); err != nil {
		p.remove()
		return nil, err
	}
	init := exec.CommandContext(ctx, filepath.Join(bin, "initdb"), "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
	init.SysProcAttr, init.Dir = attr, "/"
	if out, err := init.CombinedOutput(); err != nil {
		p.remove()
		return nil, fmt.Errorf("initdb: %w: %s", err, out)
	}
	args := []string{"-D", data, "-k", socket}
	for _, s := range settings {
		args = append(args, "-c", s)
	}
	p.cmd = exec.Command(filepath.Join(bin, "postgres"), args...)
	p.cmd.SysProcAttr, p.cmd.Dir = attr, "/"
	if err := p.cmd.Start(); err != nil {
		p.remove()
		return nil, fmt.Errorf("postgres: %w", err)
	}
	return p, nil
}

func findPostgres() (bin, version string) {
	list, _ := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if len(list) == 0 {
		return "", ""
	}
	slices.Sort(list)
	bin = filepath.Dir(list[len(list)-1])
	return bin, filepath.Base(filepath.Dir(bin))
}

// postgresUser is who the server runs as: it refuses root.
func postgresUser() (*syscall.SysProcAttr, int, error) {
	if os.Getuid() != 0 {
		return &syscall.SysProcAttr{}, -1, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return nil, 0, errNoPostgres
	}
	uid, err1 := strconv.Atoi(u.Uid)
	gid, err2 := strconv.Atoi(u.Gid)
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}, uid, errors.Join(err1, err2)
}

// connect waits until the server answers.
func (p *postgres) connect(ctx context.Context) (*pgx.Conn, error) {
	for end := time.Now().Add(30 * time.Second); ; {
		c, err := pgx.Connect(ctx, "host="+p.socket+" user=postgres dbname=postgres")
		if err == nil || time.Now().After(end) || ctx.Err() != nil {
			return c, err
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// close stops the server and removes its files.
func (p *postgres) close() {
	defer p.remove()
	if err := p.cmd.Process.Signal(syscall.SIGINT); err != nil {
		return
	}
	p.cmd.Wait() //nolint:errcheck // it was told to end
}

// name of the peer in the results.
func (p *postgres) name() string { return "PostgreSQL " + strings.TrimSpace(p.version) }
