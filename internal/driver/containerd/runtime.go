package containerd

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// runtimeScript stands before runc. When a container is created it replaces
// the specification that containerd wrote, which lacks the environment, by the
// whole one. Everything else goes straight to runc.
const runtimeScript = `#!/bin/sh
set -eu
create= bundle= last=
for arg; do
	[ "$last" = --bundle ] && bundle=$arg
	[ "$arg" = create ] && create=yes
	last=$arg
done
if [ -n "$create" ]; then
	cp -- "%[1]s/$last.json" "$bundle/config.json"
fi
exec "%[2]s" "$@"
`

// installRuntime writes the wrapper next to what lies on disk: the tmpfs below
// Run may forbid to execute.
func installRuntime(d dirs) (string, error) {
	runc, err := exec.LookPath("runc")
	if err != nil {
		return "", fmt.Errorf("find runc: %w", err)
	}
	path := filepath.Join(d.data, "runc")
	text := fmt.Sprintf(runtimeScript, d.specs, runc)
	if err := os.WriteFile(path+".new", []byte(text), 0o700); err != nil {
		return "", err
	}
	return path, os.Rename(path+".new", path)
}
