package containerd

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// runtimeScript stands before runc. When a container is created it replaces
// the specification that containerd wrote, which lacks the environment, by the
// whole one. And it runs what starts processes inside the container's network
// namespace, for them to inherit: runc up to 1.1 joins a container's user
// namespace first when it starts another process in it, and from there it may
// not join a network namespace that belongs to the host's.
const runtimeScript = `#!/bin/sh
set -eu
verb= bundle= last=
for arg; do
	case $last in --bundle) bundle=$arg ;; esac
	case $arg in create | exec) verb=${verb:-$arg} ;; esac
	last=$arg
done
if [ -z "$verb" ]; then
	exec "%[2]s" "$@"
fi
if [ "$verb" = create ]; then
	cp -- "%[1]s/$last.json" "$bundle/config.json"
fi
exec "%[3]s" --net="%[1]s/$last.net" -- "%[2]s" "$@"
`

// installRuntime writes the wrapper next to what lies on disk: the tmpfs below
// Run may forbid to execute.
func installRuntime(d dirs) (string, error) {
	runc, err := exec.LookPath("runc")
	if err != nil {
		return "", fmt.Errorf("find runc: %w", err)
	}
	nsenter, err := exec.LookPath("nsenter")
	if err != nil {
		return "", fmt.Errorf("find nsenter: %w", err)
	}
	path := filepath.Join(d.data, "runc")
	text := fmt.Sprintf(runtimeScript, d.specs, runc, nsenter)
	if err := os.WriteFile(path+".new", []byte(text), 0o700); err != nil {
		return "", err
	}
	return path, os.Rename(path+".new", path)
}

// saveSpec puts in place what the wrapper looks for: the specification, and
// the network namespace by a symbolic link.
func (d *Driver) saveSpec(id string, s *specs.Spec, netns string) error {
	return errors.Join(save(d.dirs.specs, id, s), os.Symlink(netns, d.netLink(id)))
}

func (d *Driver) netLink(id string) string { return filepath.Join(d.dirs.specs, id+".net") }

func (d *Driver) forgetSpec(id string) error {
	err := os.Remove(d.netLink(id))
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return errors.Join(err, forget(d.dirs.specs, id))
}
