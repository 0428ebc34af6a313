package premises

import (
	"io/fs"
	"path"
	"strings"
)

// owner of a part of the data directory.
type owner int

const (
	root owner = iota
	server
	spool
)

// rule says what may lie at a place of the data directory.
type rule struct {
	// path below it, with patterns as path.Match has them; "/**" at its end is
	// all that is below.
	path  string
	owner owner
	dirs  fs.FileMode // the most that directories may have; 0 = there are none
	files fs.FileMode // the same for files
	// fixed are files that are made once: another content is a finding until the
	// engine is started again.
	fixed bool
	// closed directories hold what is not the platform's to name: file systems of
	// volumes, and what containerd addresses by digest.
	closed bool
}

// manifest is all that the platform keeps below its data directory. The first
// rule that fits holds; what none fits is a finding.
var manifest = []rule{
	{path: ".", owner: root, dirs: 0o711},

	{path: "anchor", owner: server, dirs: 0o700},
	{path: "anchor/checkpoint*", owner: server, files: 0o600},
	{path: "anchor/outside", owner: server, dirs: 0o700},
	{path: "anchor/outside/**", owner: server, dirs: 0o700, files: 0o600},
	{path: "secrets", owner: server, dirs: 0o700},
	{path: "secrets/master.*", owner: server, files: 0o600, fixed: true},
	{path: "secrets/log.key", owner: server, files: 0o600, fixed: true},
	{path: "secrets/build.key", owner: server, files: 0o600, fixed: true},
	{path: "server", owner: server, dirs: 0o700},
	{path: "server/ledger.db*", owner: server, files: 0o644},
	{path: "server/bastion.key", owner: server, files: 0o600, fixed: true},
	{path: "server/tls", owner: server, dirs: 0o700},
	{path: "server/tls/key.pem", owner: server, files: 0o600, fixed: true},
	{path: "server/tls/*.pem", owner: server, files: 0o644, fixed: true},
	{path: "server/git/.hooks/*", owner: server, files: 0o700, fixed: true},
	{path: "server/git", owner: server, dirs: 0o700},
	{path: "server/git/**", owner: server, dirs: 0o755, files: 0o755},
	{path: "server/blobs", owner: server, dirs: 0o700},
	{path: "server/blobs/**", owner: server, dirs: 0o700, files: 0o600},
	{path: "server/recordings", owner: server, dirs: 0o700},
	{path: "server/recordings/**", owner: server, dirs: 0o700, files: 0o600},
	{path: "server/builds", owner: server, dirs: 0o700},
	{path: "server/builds/**", owner: server, dirs: 0o755, files: 0o755},
	{path: "server/lost+found", owner: root, dirs: 0o700, closed: true},

	{path: "logs", owner: spool, dirs: 0o700},
	{path: "logs/**", owner: spool, dirs: 0o750, files: 0o640},

	{path: "engine", owner: root, dirs: 0o700},
	{path: "engine/*.log", owner: root, files: 0o640},
	{path: "engine/containerd.toml", owner: root, files: 0o600},
	{path: "engine/containerd", owner: root, dirs: 0o711, closed: true},
	{path: "engine/state", owner: root, dirs: 0o700},
	{path: "engine/state/**", owner: root, dirs: 0o700, files: 0o700},
	{path: "engine/volumes", owner: root, dirs: 0o711},
	{path: "engine/volumes/lock", owner: root, files: 0o600},
	{path: "engine/volumes/volumes", owner: root, dirs: 0o711},
	{path: "engine/volumes/volumes/*", owner: root, files: 0o600},
	{path: "engine/volumes/mnt", owner: root, dirs: 0o711},
	{path: "engine/volumes/mnt/*", owner: root, dirs: 0o755, closed: true},

	// What an operator keeps here: settings, the program, certificates, images,
	// logs of the services, a file system that server/ lies on.
	{path: "images", owner: root, dirs: 0o755},
	{path: "images/*", owner: root, files: 0o644},
	{path: "bin", owner: root, dirs: 0o755},
	{path: "bin/*", owner: root, files: 0o755},
	{path: "public", owner: root, dirs: 0o755},
	{path: "public/*", owner: root, files: 0o644},
	{path: "strongroom.json", owner: root, files: 0o640},
	{path: "supervise.log", owner: root, files: 0o644},
	{path: "*.log", owner: root, files: 0o640},
	{path: "server.img", owner: root, files: 0o600},
	{path: "lost+found", owner: root, dirs: 0o700, closed: true},
}

// ruleFor finds the rule of a path below the data directory.
func ruleFor(name string, dir bool) (rule, bool) {
	for _, r := range manifest {
		if dir && r.dirs == 0 || !dir && r.files == 0 {
			continue
		}
		if above, tree := strings.CutSuffix(r.path, "/**"); tree {
			if strings.HasPrefix(name, above+"/") {
				return r, true
			}
		} else if ok, err := path.Match(r.path, name); ok && err == nil {
			return r, true
		}
	}
	return rule{}, false
}
