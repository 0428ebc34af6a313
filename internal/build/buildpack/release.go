package buildpack

import (
	"strings"

	"github.com/strongroom/strongroom/internal/fault"
)

// maxRelease bounds what bin/release may say.
const maxRelease = 64 << 10

// Release is what a buildpack's bin/release declares.
type Release struct {
	ProcessTypes map[string]string
	ConfigVars   map[string]string
}

// ParseRelease reads the YAML that bin/release prints. Buildpacks use a small
// part of YAML: members with scalars, one level deep. Anything beyond that in
// the two members that matter is refused rather than guessed at.
func ParseRelease(raw []byte) (Release, error) {
	if len(raw) > maxRelease {
		return Release{}, fault.New(fault.TooLarge, "A buildpack's bin/release prints more than %d bytes.", maxRelease)
	}
	r := Release{ProcessTypes: map[string]string{}, ConfigVars: map[string]string{}}
	section := ""
	for line := range strings.Lines(string(raw)) {
		line = strings.TrimRight(line, " \t\r\n")
		text := strings.TrimLeft(line, " ")
		if text == "" || strings.HasPrefix(text, "#") || line == "---" || line == "..." {
			continue
		}
		if line == text { // not indented: a member of the document
			if strings.HasPrefix(text, "- ") {
				continue // an item of a list such as addons
			}
			name, value, ok := cutMember(text)
			if !ok {
				return Release{}, malformed(text)
			}
			section = name
			if target := r.section(section); target != nil && value != "" && value != "{}" {
				return Release{}, malformed(text)
			}
			continue
		}
		target := r.section(section)
		if target == nil {
			continue
		}
		name, value, ok := cutMember(text)
		if !ok {
			return Release{}, malformed(text)
		}
		plain, ok := scalar(value)
		if !ok {
			return Release{}, malformed(text)
		}
		target[name] = plain
	}
	return r, nil
}

func (r Release) section(name string) map[string]string {
	switch name {
	case "default_process_types":
		return r.ProcessTypes
	case "config_vars":
		return r.ConfigVars
	}
	return nil
}

func malformed(line string) error {
	return fault.New(fault.Invalid, "A buildpack's bin/release prints %.100q, which is not understood.", line)
}

func cutMember(text string) (name, value string, ok bool) {
	name, value, ok = strings.Cut(text, ":")
	if !ok || (value != "" && !strings.HasPrefix(value, " ")) {
		return "", "", false
	}
	name, ok = scalar(strings.TrimSpace(name))
	return name, strings.TrimSpace(value), ok && name != ""
}

// scalar reads a plain or quoted YAML scalar on one line.
func scalar(text string) (string, bool) {
	if text == "" {
		return "", true
	}
	switch text[0] {
	case '\'':
		if len(text) < 2 || !strings.HasSuffix(text, "'") {
			return "", false
		}
		return strings.ReplaceAll(text[1:len(text)-1], "''", "'"), true
	case '"':
		if len(text) < 2 || !strings.HasSuffix(text, `"`) {
			return "", false
		}
		return strings.NewReplacer(`\"`, `"`, `\\`, `\`).Replace(text[1 : len(text)-1]), true
	case '|', '>', '&', '*', '!', '{', '[', '%', '@', '`':
		return "", false
	}
	return text, true
}
