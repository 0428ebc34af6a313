package image

import (
	"archive/tar"
	"bytes"
	"fmt"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
)

const statusFile = "var/lib/dpkg/status"

func packagesOf(f *os.File, entries []Entry) ([]Package, error) {
	raw, err := contentOf(f, entries, statusFile)
	if err != nil {
		return nil, err
	}
	return parseStatus(bytes.NewReader(raw))
}

func contentOf(f *os.File, entries []Entry, name string) ([]byte, error) {
	at := slices.IndexFunc(entries, func(e Entry) bool { return key(e.Header.Name) == name && e.Header.Typeflag == tar.TypeReg })
	if at < 0 {
		return nil, fmt.Errorf("the root file system has no /%s", name)
	}
	return entries[at].Content(f)
}

// volatile lists what differs from one run to the next, or belongs to a host.
var volatile = []string{
	"etc/machine-id", "etc/hostname", "etc/resolv.conf", "var/lib/dbus/machine-id",
	"var/cache/ldconfig/aux-cache", "var/lib/systemd/random-seed",
}

// volatileDirs keep their directory and lose their content.
var volatileDirs = []string{"dev/", "run/", "tmp/", "var/log/", "var/cache/apt/", "var/lib/apt/lists/", "var/cache/debconf/"}

// furnish drops what an image must not hold and adds what the recipe says.
func furnish(r Recipe, f *os.File, entries []Entry) ([]Entry, error) {
	passwd, err := contentOf(f, entries, "etc/passwd")
	if err != nil {
		return nil, err
	}
	group, err := contentOf(f, entries, "etc/group")
	if err != nil {
		return nil, err
	}
	uids, gids := moved(r, passwd), moved(r, group)
	kept := entries[:0:0]
	for _, e := range entries {
		if keep(e.Header) && !r.removes(key(e.Header.Name)) {
			e.Header.Uid, e.Header.Gid = renumber(uids, e.Header.Uid), renumber(gids, e.Header.Gid)
			kept = append(kept, e)
		}
	}
	kept = append(kept, accountFiles(r, passwd, group)...)
	for _, d := range r.Dirs {
		mode, err := d.mode()
		if err != nil {
			return nil, err
		}
		kept = append(kept, Directory(d.Path, mode, d.UID))
	}
	for name, content := range r.overlay {
		mode := int64(0o644)
		if bytes.HasPrefix(content, []byte("#!")) {
			mode = 0o755
		}
		kept = append(kept, File(name, mode, 0, content))
	}
	return kept, nil
}

func keep(h *tar.Header) bool {
	name := key(h.Name)
	switch h.Typeflag {
	case tar.TypeReg, tar.TypeDir, tar.TypeSymlink, tar.TypeLink:
	default:
		return false // device nodes and pipes: the runtime makes what a container needs
	}
	if name == "" || slices.Contains(volatile, name) {
		return false
	}
	if strings.HasPrefix(name, "etc/ssl/private/") || strings.Contains(name+" "+h.Linkname, "ssl-cert-snakeoil") {
		return false // a private key that Debian's ssl-cert makes at installation
	}
	return !slices.ContainsFunc(volatileDirs, func(d string) bool { return strings.HasPrefix(name, d) })
}

// removes reports whether a pattern of the recipe covers the file or a
// directory above it.
func (r Recipe) removes(name string) bool {
	for p := "/" + name; p != "/"; p = path.Dir(p) {
		for _, pattern := range r.Remove {
			if ok, _ := path.Match(pattern, p); ok {
				return true
			}
		}
	}
	return false
}

// moved maps the ids that packages gave to the recipe's users to those that
// the recipe gives them. Files of passwd and group both have the id third.
func moved(r Recipe, accounts []byte) map[int]int {
	ids := map[int]int{}
	for line := range strings.Lines(string(accounts)) {
		f := strings.Split(line, ":")
		at := slices.IndexFunc(r.Users, func(u User) bool { return u.Name == f[0] })
		if at < 0 || len(f) < 3 {
			continue
		}
		if id, err := strconv.Atoi(f[2]); err == nil {
			ids[id] = r.Users[at].UID
		}
	}
	return ids
}

func renumber(ids map[int]int, id int) int {
	if to, ok := ids[id]; ok {
		return to
	}
	return id
}

// accountFiles returns /etc/passwd and /etc/group with the recipe's users.
func accountFiles(r Recipe, passwd, group []byte) []Entry {
	for _, u := range r.Users {
		passwd = replaceAccount(passwd, u.Name, fmt.Sprintf("%s:x:%d:%d::%s:/bin/bash", u.Name, u.UID, u.UID, u.Home))
		group = replaceAccount(group, u.Name, fmt.Sprintf("%s:x:%d:", u.Name, u.UID))
	}
	return []Entry{File("etc/passwd", 0o644, 0, passwd), File("etc/group", 0o644, 0, group)}
}

// replaceAccount puts line in place of the account's, or at the end: a
// package may have made the account with an id of its own.
func replaceAccount(content []byte, name, line string) []byte {
	var b strings.Builder
	for old := range strings.Lines(string(content)) {
		if !strings.HasPrefix(old, name+":") {
			b.WriteString(old)
		}
	}
	b.WriteString(line + "\n")
	return []byte(b.String())
}
