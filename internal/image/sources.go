package image

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/strongroom/strongroom/internal/fault"
)

// archiveKeyring holds Debian's own keys on a Debian host; each suite's
// signature is checked against it.
const archiveKeyring = "/usr/share/keyrings/debian-archive-keyring.gpg"

// Sources returns apt source lines for a Debian suite from what the host's
// own apt is configured with: every mirror that serves the host's release is
// taken to serve the other suite under the same name. Sources of other
// vendors do not follow Debian's release names and fall away. fsys is the
// host's root directory.
func Sources(fsys fs.FS, suite string) ([]string, error) {
	host, err := codename(fsys)
	if err != nil {
		return nil, err
	}
	var lines []string
	for _, s := range hostSources(fsys) {
		if s.suite != host && !strings.HasPrefix(s.suite, host+"-") {
			continue
		}
		line := fmt.Sprintf("deb [signed-by=%s] %s %s main", archiveKeyring, s.uri, suite+strings.TrimPrefix(s.suite, host))
		if !slices.Contains(lines, line) {
			lines = append(lines, line)
		}
	}
	if len(lines) == 0 {
		return nil, fault.New(fault.Invalid, "This host's apt has no mirror for its release %q. Give the mirror of %q explicitly.", host, suite)
	}
	return lines, nil
}

func codename(fsys fs.FS) (string, error) {
	raw, err := fs.ReadFile(fsys, "etc/os-release")
	if err != nil {
		return "", fault.Wrap(fault.Invalid, err, "This host has no /etc/os-release. Give the Debian mirror explicitly.")
	}
	for line := range strings.Lines(string(raw)) {
		if v, ok := strings.CutPrefix(strings.TrimSpace(line), "VERSION_CODENAME="); ok {
			return strings.Trim(v, `"`), nil
		}
	}
	return "", fault.New(fault.Invalid, "/etc/os-release names no release. Give the Debian mirror explicitly.")
}

type source struct{ uri, suite string }

func hostSources(fsys fs.FS) []source {
	var found []source
	names := []string{"etc/apt/sources.list"}
	entries, err := fs.ReadDir(fsys, "etc/apt/sources.list.d")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, e := range entries {
		names = append(names, path.Join("etc/apt/sources.list.d", e.Name()))
	}
	for _, name := range names {
		raw, err := fs.ReadFile(fsys, name)
		if err != nil {
			continue
		}
		switch path.Ext(name) {
		case ".list":
			found = append(found, parseList(raw)...)
		case ".sources":
			found = append(found, parseStanzas(raw)...)
		}
	}
	return found
}

// parseList reads apt's one-line format: deb [options] uri suite component…
func parseList(raw []byte) []source {
	var found []source
	for line := range strings.Lines(string(raw)) {
		rest, ok := strings.CutPrefix(strings.TrimSpace(line), "deb ")
		if !ok {
			continue
		}
		rest = strings.TrimSpace(rest)
		if strings.HasPrefix(rest, "[") {
			_, rest, _ = strings.Cut(rest, "]")
		}
		if f := strings.Fields(rest); len(f) >= 3 && slices.Contains(f[2:], "main") {
			found = append(found, source{strings.TrimSuffix(f[0], "/"), f[1]})
		}
	}
	return found
}

// parseStanzas reads apt's deb822 format.
func parseStanzas(raw []byte) []source {
	var found []source
	fields := map[string]string{}
	flush := func() {
		if strings.Contains(fields["types"], "deb") && slices.Contains(strings.Fields(fields["components"]), "main") &&
			!strings.EqualFold(fields["enabled"], "no") {
			for _, uri := range strings.Fields(fields["uris"]) {
				for _, suite := range strings.Fields(fields["suites"]) {
					found = append(found, source{strings.TrimSuffix(uri, "/"), suite})
				}
			}
		}
		clear(fields)
	}
	scan := bufio.NewScanner(bytes.NewReader(raw))
	for scan.Scan() {
		line := scan.Text()
		switch key, value, ok := strings.Cut(line, ":"); {
		case strings.TrimSpace(line) == "":
			flush()
		case strings.HasPrefix(line, "#"):
		case ok:
			fields[strings.ToLower(strings.TrimSpace(key))] = strings.TrimSpace(value)
		}
	}
	flush()
	return found
}
