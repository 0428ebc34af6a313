package git

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// preReceive runs inside git when all objects of a push have arrived and no
// ref has moved yet. It talks over pipes that it inherits from the server
// through git, so it needs no socket, no token and no program of ours:
//
//	3  to the server: where the objects lie, then the updates, then "."
//	4  from the server: text for the pusher
//	5  from the server: "accept", or nothing
const preReceive = `#!/bin/sh
{ printf '%s\n' "$GIT_QUARANTINE_PATH"; cat; echo .; } >&3 || exit 1
exec 3>&-
cat <&4
read -r verdict <&5 || exit 1
[ "$verdict" = accept ]
`

// writeHooks makes the directory that every repository takes its hooks from.
func writeHooks(root string) (string, error) {
	dir := filepath.Join(root, ".hooks")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	temp := filepath.Join(dir, ".pre-receive")
	if err := os.WriteFile(temp, []byte(preReceive), 0o700); err != nil {
		return "", err
	}
	return dir, os.Rename(temp, filepath.Join(dir, "pre-receive"))
}

// update is one ref that a push moves.
type update struct{ old, new, ref string }

func (u update) deletes() bool { return strings.Trim(u.new, "0") == "" }
func (u update) creates() bool { return strings.Trim(u.old, "0") == "" }

// proposal is what a pre-receive hook reports.
type proposal struct {
	quarantine string
	updates    []update
}

// Bounds of a proposal.
const (
	maxUpdates = 1000
	maxLine    = 4096
)

// readProposal reads what the hook writes; io.EOF if git never ran it.
func readProposal(r io.Reader, objects string) (proposal, error) {
	scan := bufio.NewScanner(r)
	scan.Buffer(make([]byte, maxLine), maxLine)
	if !scan.Scan() {
		return proposal{}, errors.Join(scan.Err(), io.EOF)
	}
	// The quarantine will be an environment variable for git, so it must be
	// what git made. A push that only deletes brings no objects and has none.
	var p proposal
	if line := scan.Text(); line != "" {
		p.quarantine = filepath.Clean(line)
		if filepath.Dir(p.quarantine) != objects {
			return proposal{}, fmt.Errorf("git: the quarantine %q is not in %s", line, objects)
		}
	}
	for scan.Scan() {
		line := scan.Text()
		if line == "." {
			return p, nil
		}
		u, err := parseUpdate(line)
		if err != nil {
			return proposal{}, err
		}
		if p.updates = append(p.updates, u); len(p.updates) > maxUpdates {
			return proposal{}, errors.New("git: too many refs in one push")
		}
	}
	return proposal{}, errors.Join(scan.Err(), errors.New("git: the hook ended early"))
}

func parseUpdate(line string) (update, error) {
	f := strings.Split(line, " ")
	if len(f) != 3 || !objectPattern.MatchString(f[0]) || !objectPattern.MatchString(f[1]) || f[2] == "" {
		return update{}, fmt.Errorf("git: malformed update %q", line)
	}
	return update{f[0], f[1], f[2]}, nil
}

// deployRefs are the branches whose push deploys.
var deployRefs = []string{"refs/heads/main", "refs/heads/master"}

// judge says which update deploys, if any, what to note, and why the push is
// refused, if it is.
func judge(updates []update) (deploy *update, notes []string, refusal string) {
	for i, u := range updates {
		switch {
		case !strings.HasPrefix(u.ref, "refs/heads/") && !strings.HasPrefix(u.ref, "refs/tags/"):
			return nil, nil, fmt.Sprintf("%s is neither a branch nor a tag.", u.ref)
		case !slices.Contains(deployRefs, u.ref):
			if !u.deletes() {
				notes = append(notes, fmt.Sprintf("Pushed to %s, which does not deploy: push to main or master to deploy.", shortRef(u.ref)))
			}
		case u.deletes():
			return nil, nil, fmt.Sprintf("%s is what is deployed and cannot be deleted.", shortRef(u.ref))
		case deploy != nil:
			return nil, nil, "This push has both main and master. Push one of them."
		default:
			deploy = &updates[i]
		}
	}
	return deploy, notes, ""
}

func shortRef(ref string) string {
	return strings.TrimPrefix(strings.TrimPrefix(ref, "refs/heads/"), "refs/tags/")
}
