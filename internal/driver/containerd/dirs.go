package containerd

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// dirs is where things lie. Below secret only root may look.
type dirs struct {
	data string

	secret     string // 0700, on a tmpfs
	spaces     string // secret/spaces/<id>.json
	formations string // secret/formations/<id>.json
	containers string // secret/containers/<id>.json
	specs      string // secret/specs/<id>.json, the whole OCI specification
	mounts     string // secret/mounts/<container>/<n>, while it starts
	sessions   string // secret/sessions/<process>/, FIFOs of attached processes
	layers     string // secret/layers/<index>/<snapshot>, id-mapped
	files      string // secret/files/<container>/, its /etc/hosts and /etc/resolv.conf
	streams    string // 0711: streams/<container>/, FIFOs that spool reads
}

func makeDirs(data, run string) (dirs, error) {
	secret := filepath.Join(run, "secret")
	d := dirs{
		data: data, secret: secret,
		spaces: filepath.Join(secret, "spaces"), formations: filepath.Join(secret, "formations"),
		containers: filepath.Join(secret, "containers"), specs: filepath.Join(secret, "specs"),
		mounts: filepath.Join(secret, "mounts"), sessions: filepath.Join(secret, "sessions"),
		layers: filepath.Join(secret, "layers"), files: filepath.Join(secret, "files"),
		streams: filepath.Join(run, "streams"),
	}
	for _, dir := range []string{data, secret, d.spaces, d.formations, d.containers, d.specs, d.mounts, d.sessions, d.layers, d.files} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return dirs{}, err
		}
	}
	if err := os.MkdirAll(d.streams, 0o711); err != nil {
		return dirs{}, err
	}
	return d, onTmpfs(run)
}

// onTmpfs refuses to keep secrets where they would reach a disk.
func onTmpfs(dir string) error {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return err
	}
	if s.Type != unix.TMPFS_MAGIC {
		return fmt.Errorf("%s holds secrets and is not on a tmpfs", dir)
	}
	return nil
}

// save writes a value whole or not at all.
func save(dir, name string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	file := filepath.Join(dir, name+".json")
	if err := writeSynced(file+".new", b); err != nil {
		return err
	}
	return os.Rename(file+".new", file)
}

// writeSynced returns when the content is on disk: one that is lost by a power
// failure, or by a disk that turns out to be full, would be found damaged.
func writeSynced(name string, content []byte) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	return errors.Join(err, f.Sync(), f.Close())
}

func forget(dir, name string) error {
	err := os.Remove(filepath.Join(dir, name+".json"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// load reads a value; it reports whether there is one.
func load(dir, name string, v any) (bool, error) {
	b, err := os.ReadFile(filepath.Join(dir, name+".json"))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if err := json.Unmarshal(b, v); err != nil {
		return false, fmt.Errorf("read %s in %s: it is damaged", name, dir)
	}
	return true, nil
}

// loadAll reads every value of a directory by name.
func loadAll[T any](dir string) (map[string]T, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	all := map[string]T{}
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), ".json")
		if !ok {
			continue
		}
		var v T
		if _, err := load(dir, name, &v); err != nil {
			return nil, err
		}
		all[name] = v
	}
	return all, nil
}
